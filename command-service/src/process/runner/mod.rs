//! Runs a manager on its share of the partitions.

mod alarm;
mod batch;
mod owner;
mod perform;
mod tables;

use std::time::{Duration, Instant};

use event_store::EventStore;
use event_store::feed;
use event_store::leases::{ShareOptions, Shares};
use pool::Pool;
use schema::partition::PARTITION_COUNT;
use service_host::{Gate, Shutdown};

use super::backoff::Backoff;
use super::manager::Manager;
use super::options::Options;
#[cfg(test)]
pub(super) use batch::Changes;
use owner::Owner;
#[cfg(test)]
pub(super) use tables::Commit;
pub(super) use tables::Tables;

/// A run that lasted so long was no failed attempt.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Why an owner gave up its run. The next one begins where the last commit was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the log can't be followed")]
    Feed(#[from] feed::Error),
    #[error("the log can't be read")]
    Read(#[from] event_store::read::Error),
    #[error("checkpoints and timers can't be reached")]
    Unavailable(#[from] sqlx::Error),
    #[error("the timer {name} can't be written")]
    Malformed { name: String, source: serde_json::Error },
    #[error("there is no partition {0}")]
    NoSuchPartition(i16),
    /// Another owner has, or had, one of the partitions: nothing was committed.
    #[error("a lease was lost")]
    LeaseLost,
    /// The log went back to before what was read of it.
    #[error("the log has another generation")]
    OtherGeneration,
}

/// One worker among those of all processes.
pub(super) struct Runner<M> {
    manager: M,
    store: EventStore,
    tables: Tables,
    options: Options,
    gate: Gate,
}

impl<M: Manager> Runner<M> {
    pub fn new(manager: M, store: EventStore, pool: impl Into<Pool>, options: Options, gate: Gate) -> Self {
        let pool = pool.into();
        let tables = Tables::new(pool, M::NAME);
        Self { manager, store, tables, options, gate }
    }

    /// Until `shutdown` begins; then the share is given back.
    pub async fn run(self, shutdown: Shutdown) {
        let share = ShareOptions {
            ttl: self.options.lease_ttl,
            ..ShareOptions::new(format!("process:{}", M::NAME), i16::from(PARTITION_COUNT))
        };
        let mut shares = Shares::keep(self.store.clone(), share);
        self.own(&mut shares, &shutdown).await;
        shares.leave().await;
    }

    async fn own(&self, shares: &mut Shares, shutdown: &Shutdown) {
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            let owner = Owner::new(self, shares.current());
            tokio::select! {
                () = shutdown.begun() => return,
                // Whatever was under way is given up, and done by whoever has the partitions now.
                _ = shares.changed() => backoff = Backoff::new(),
                error = owner.run() => {
                    self.report(&error);
                    if began.elapsed() > HEALTHY_AFTER {
                        backoff = Backoff::new();
                    }
                    tokio::select! {
                        () = backoff.wait() => {}
                        _ = shares.changed() => {}
                        () = shutdown.begun() => return,
                    }
                }
            }
        }
    }

    fn report(&self, error: &Error) {
        match error {
            // Part of a change of hands.
            Error::LeaseLost => tracing::info!(manager = M::NAME, "a lease was lost in the middle of a batch"),
            Error::OtherGeneration => {
                tracing::warn!(manager = M::NAME, "the log has another generation; it is read from where the two part");
            }
            _ => {
                self.gate.not_ready(error.to_string());
                tracing::warn!(manager = M::NAME, error = error as &dyn std::error::Error, "a run ended");
            }
        }
        metrics::counter!("coulomb_process_run_failures_total", "manager" => M::NAME).increment(1);
    }
}
