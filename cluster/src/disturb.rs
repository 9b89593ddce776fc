//! What can befall the parts of a cluster, one by one or all.

use std::process::ExitStatus;

use futures_util::future::join_all;
use owned_process::{OwnedProcess, State};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::part::Part;
use crate::published::Published;

impl Cluster {
    /// Makes the replica the primary, and leads PgBouncer to it. The old primary is killed if it still runs; started again,
    /// it comes back as a copy of the new one.
    ///
    /// # Errors
    /// [`Error::NoReplica`], or when it can't be promoted.
    pub async fn promote(&self) -> Result<(), Error> {
        self.database.lock().await.promote().await?;
        self.publish().await
    }

    /// Starts a part that does not run, where it was and with what it had, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::NoPart`], or when it does not start.
    pub async fn start(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => {
                let kafka = self.kafka(part)?;
                if kafka.state(number).await? == State::Stopped {
                    kafka.restart(number).await?;
                }
                Ok(())
            }
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.start_part(part).await,
            _ => {
                let mut process = self.process(part)?.lock().await;
                process.launch().await?;
                process.until_ready(&self.client).await
            }
        }
    }

    /// SIGKILL. The part is gone when this returns; of Postgres and Kafka, what they had written stays.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn kill(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.kill(number).await?),
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.kill(part).await,
            _ if self.process(part)?.lock().await.owned.kill().await => Ok(()),
            _ => Err(Error::NotRunning(part)),
        }
    }

    /// How the process of a role ended that does not run; none of another part.
    pub async fn ended_with(&self, part: Part) -> Option<ExitStatus> {
        self.process(part).ok()?.lock().await.owned.ended_with()
    }

    /// SIGSTOP to all processes of the part: it keeps its connections and does nothing.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn freeze(&self, part: Part) -> Result<(), Error> {
        self.set_frozen(part, true).await
    }

    /// SIGCONT: what was frozen goes on.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn thaw(&self, part: Part) -> Result<(), Error> {
        self.set_frozen(part, false).await
    }

    async fn set_frozen(&self, part: Part, frozen: bool) -> Result<(), Error> {
        match part {
            Part::Kafka(number) if frozen => Ok(self.kafka(part)?.freeze(number).await?),
            Part::Kafka(number) => Ok(self.kafka(part)?.thaw(number).await?),
            _ => {
                let set = |process: &OwnedProcess| process.set_frozen(frozen);
                let runs = match part {
                    Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.process(part)?.is_some_and(set),
                    _ => set(&self.process(part)?.lock().await.owned),
                };
                if runs { Ok(()) } else { Err(Error::NotRunning(part)) }
            }
        }
    }

    /// In good order: SIGTERM, on which roles drain, and after a while SIGKILL. Answers when it has ended.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub async fn stop_part(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.stop_node(number).await?),
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.stop(part).await,
            _ => {
                self.process(part)?.lock().await.owned.stop().await;
                Ok(())
            }
        }
    }

    /// [`Cluster::stop_part`] if it runs, then [`Cluster::start`].
    ///
    /// # Errors
    /// As those.
    pub async fn restart(&self, part: Part) -> Result<(), Error> {
        self.stop_part(part).await?;
        self.start(part).await
    }

    /// Stops everything in good order, who uses others first. An ephemeral cluster is killed and removed.
    ///
    /// # Errors
    /// When Postgres does not stop.
    pub async fn stop(self) -> Result<(), Error> {
        Published::remove(&self.directory)?;
        let end = async |parts: &[Part]| {
            let ends = parts.iter().filter_map(|part| self.processes.get(part)).map(async |process| {
                let mut process = process.lock().await;
                if self.ephemeral {
                    process.owned.kill().await;
                } else {
                    process.owned.stop().await;
                }
            });
            join_all(ends).await;
        };
        end(&[Part::Traffic]).await;
        let roles: Vec<Part> = self.processes.keys().copied().filter(|part| part.is_role()).collect();
        end(&roles).await;
        end(&[Part::Nginx]).await;
        let Self { kafka, database, guardian, .. } = self;
        let kafka = async {
            if let Some(kafka) = kafka {
                kafka.stop().await;
            }
        };
        let mut database = database.into_inner();
        let ((), stopped) = tokio::join!(kafka, database.stop_all());
        guardian.dismiss().await;
        stopped
    }
}
