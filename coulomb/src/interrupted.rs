//! The end of a command that runs for long: Ctrl-C, or SIGTERM of whoever runs it, as a job of a cluster or at night.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is sent while nobody waits is not lost. Once this is made, neither signal ends the process by itself.
pub struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruptions {
    /// # Errors
    /// When the handlers can't be installed. Must be called inside a tokio runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
