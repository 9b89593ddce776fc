//! One orderly end for a process: a signal begins it, everything else follows one handle.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a program that an interrupt ended (128 + SIGINT).
const EXIT_FORCED: i32 = 130;

/// A signal this soon after the first is the same request: terminals and wrappers send one to the process and one to its
/// group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Says that the process is to end. Cheap to clone; every clone sees the same end.
///
/// An end may be announced before it begins: the process serves on, and says to balancers that it is to get nothing new.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    announced: CancellationToken,
    token: CancellationToken,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces the end on SIGTERM and begins it after `notice`, in which balancers see that the process is not ready
    /// any more; on SIGINT, which comes from a person at a terminal, it begins at once. A second signal ends the process
    /// at once, with exit code 130: whoever sends two does not want to wait for a drain, and what was acknowledged is
    /// committed already.
    ///
    /// # Errors
    /// When the handlers can't be installed. Must be called inside a tokio runtime.
    pub fn on_signals(&self, notice: Duration) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let name = next().await;
            let notice = if name == "SIGINT" { Duration::ZERO } else { notice };
            tracing::info!(signal = name, notice_s = notice.as_secs(), "shutting down");
            shutdown.announce();
            let announced = Instant::now();
            let second = async {
                loop {
                    let name = next().await;
                    if announced.elapsed() >= SAME_REQUEST {
                        return name;
                    }
                }
            };
            let begin = async {
                tokio::time::sleep(notice).await;
                shutdown.begin();
                std::future::pending().await
            };
            let name = tokio::select! {
                name = second => name,
                name = begin => name,
            };
            tracing::warn!(signal = name, "second signal, ending without a drain");
            std::process::exit(EXIT_FORCED);
        });
        Ok(())
    }

    /// Says that the end is to begin soon.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether the end is to begin soon, or has begun.
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    pub fn begin(&self) {
        self.announced.cancel();
        self.token.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes when the end has begun.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// A part that ends with this one, and can be ended before it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { announced: self.announced.child_token(), token: self.token.child_token() }
    }

    /// The same as a token, for libraries that take one.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}
