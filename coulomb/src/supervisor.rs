//! The parts of one process: each runs until the shutdown; when one fails, all end.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use service_host::Shutdown;
use tokio::task::JoinSet;

pub struct Supervisor {
    shutdown: Shutdown,
    /// For all parts to drain.
    drain_wait_max: Duration,
    parts: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Supervisor {
    /// `drain_wait_max`: for all parts to drain; longer than any part's own limit.
    pub fn new(shutdown: Shutdown, drain_wait_max: Duration) -> Self {
        Self { shutdown, drain_wait_max, parts: JoinSet::new() }
    }

    /// Starts a part, which ends when the shutdown has begun and its work is drained.
    pub fn spawn<F, E>(&mut self, name: &'static str, part: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error>,
    {
        self.parts.spawn(async move { (name, part.await.map_err(Into::into)) });
    }

    /// Waits until the shutdown has begun, or begins it when a part ends before.
    pub async fn until_shutdown(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            () = self.shutdown.begun() => Ok(()),
            Some(ended) = self.parts.join_next() => {
                let early = !self.shutdown.has_begun();
                self.shutdown.begin();
                match ended {
                    Ok((name, Ok(()))) if early => Err(anyhow!("{name} ended by itself")),
                    Ok((_, Ok(()))) => Ok(()),
                    Ok((name, Err(error))) => Err(error).context(name),
                    Err(panicked) => Err(panicked.into()),
                }
            }
        }
    }

    /// Begins the shutdown and waits for every part to drain. The first failure is returned, the others are logged.
    pub async fn drain(mut self) -> anyhow::Result<()> {
        self.shutdown.begin();
        let mut first = None;
        let all = async {
            while let Some(ended) = self.parts.join_next().await {
                let ended = match ended {
                    Ok((name, result)) => result.context(name),
                    Err(panicked) => Err(panicked.into()),
                };
                if let Err(error) = ended {
                    tracing::error!(error = format!("{error:#}"), "a part failed while draining");
                    first.get_or_insert(error);
                }
            }
        };
        if tokio::time::timeout(self.drain_wait_max, all).await.is_err() {
            let late = anyhow!("not drained within {} s", self.drain_wait_max.as_secs());
            first.get_or_insert(late);
        }
        first.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_MAX: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn all_parts_end_when_one_fails() {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone(), WAIT_MAX);
        let other = shutdown.clone();
        supervisor.spawn("other", async move {
            other.begun().await;
            anyhow::Ok(())
        });
        supervisor.spawn("broken", async { Err(anyhow!("as a bug would")) });
        let failed = supervisor.until_shutdown().await.unwrap_err();
        assert_eq!(format!("{failed:#}"), "broken: as a bug would");
        supervisor.drain().await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_ends_early_is_a_failure_and_one_that_drains_is_not() {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone(), WAIT_MAX);
        supervisor.spawn("short", async { anyhow::Ok(()) });
        assert_eq!(supervisor.until_shutdown().await.unwrap_err().to_string(), "short ended by itself");

        let mut supervisor = Supervisor::new(shutdown.clone(), WAIT_MAX);
        shutdown.begin();
        supervisor.until_shutdown().await.unwrap();
        supervisor.spawn("drained", async { Err(anyhow!("too late")) });
        assert_eq!(format!("{:#}", supervisor.drain().await.unwrap_err()), "drained: too late");
    }
}
