//! The worker: owns partitions under leases, folds what comes, commits, and begins anew after whatever goes wrong.

pub(crate) mod batch;
pub(crate) mod builds;
mod claim;
mod cut;
pub(crate) mod digests;
mod engine;
pub(crate) mod parked;
pub(crate) mod release;
pub(crate) mod rows;
pub(crate) mod tail;
mod tenure;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use event_store::EventStore;
use event_store::leases::{Share, ShareOptions, Shares};
use pool::Pool;
use schema::log::{Generation, Position};
use schema::partition::PARTITION_COUNT;
use schema::view::Model;
use service_host::{Gate, Shutdown};

use crate::config::Config;
use crate::metrics;
use crate::views::Views;

use tenure::Tenure;

/// The leases under which the live read models are advanced.
const LEASES: &str = "projections";
/// Events of one transaction.
const BATCH_EVENTS_MAX: usize = 500;
/// After an error that passes by itself.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// After what only another program, or an operator, can change.
const RETRY_UNFIT_AFTER: Duration = Duration::from_secs(5);

/// Why a tenure ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another worker has claimed some of the partitions: nothing was committed.
    #[error("the partitions were claimed by another worker")]
    Ended,
    #[error("the rows can't be written")]
    Write(#[source] sqlx::Error),
    #[error("the rows can't be read")]
    Read(#[from] schema::view::Error),
    #[error("the log can't be followed")]
    Follow(#[from] event_store::feed::Error),
    /// Between the claim and the first look at the log; the next claim takes it over.
    #[error("the log has begun generation {}", of_log.0)]
    NewGeneration { of_log: Generation },
    #[error(
        "this program can't keep build {number} of {} up to date: it has no fold of version {version}, only of {carried:?}. \
         Run a program that has it, or let another build serve (coulomb projections swap | rollback) and drop that one",
        model.name()
    )]
    NoFold { model: Model, number: i32, version: i32, carried: Vec<u32> },
    /// In somebody else's transaction, for whom all workers wait.
    #[error("{positions} positions of the log are left to be folded: wait until the workers have come nearer")]
    FarBehind { positions: i64 },
    #[error("the log has no position {at} yet")]
    NotThere { at: Position },
    #[error("this program knows no read model {name}: run the one that made it, or a later one")]
    UnknownModel { name: String },
}

pub(crate) struct Worker {
    /// Of the process, from 1.
    number: usize,
    config: Config,
    store: EventStore,
    pool: Pool,
    views: Views,
    gate: Gate,
}

impl Worker {
    pub fn new(number: usize, config: Config, store: EventStore, pool: Pool, views: Views, gate: Gate) -> Self {
        Self { number, config, store, pool, views, gate }
    }

    /// Works until shutdown, then gives its partitions back.
    pub async fn work(self, shutdown: Shutdown) {
        let ttl = self.config.lease_ttl;
        let options = ShareOptions { ttl, ..ShareOptions::new(LEASES, i16::from(PARTITION_COUNT)) };
        let mut shares = Shares::keep(self.store.clone(), options);
        self.own(&mut shares, &shutdown).await;
        shares.leave().await;
    }

    async fn own(&self, shares: &mut Shares, shutdown: &Shutdown) {
        let mut share = Share::new();
        let mut told = None;
        loop {
            let ended = tokio::select! {
                ended = self.hold(&share, &mut told) => ended,
                changed = shares.changed() => {
                    share = changed;
                    self.views.set_whole(false);
                    continue;
                }
                () = shutdown.begun() => return,
            };
            self.views.set_whole(false);
            let pause = self.tell(&ended, &mut told);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = shares.changed() => share = changed,
                () = shutdown.begun() => return,
            }
        }
    }

    /// Folds the partitions of a share until something goes wrong.
    async fn hold(&self, share: &Share, told: &mut Option<String>) -> Error {
        metrics::partitions(self.number, share.len());
        if share.is_empty() {
            self.gate.not_ready("waiting for a share of the partitions");
            return std::future::pending().await;
        }
        let mut tenure = match Tenure::claim(&self.config, &self.store, &self.pool, &self.views, share).await {
            Ok(tenure) => tenure,
            Err(error) => return error,
        };
        if told.is_none() {
            // After an error, only a batch shows that it is over.
            self.gate.ready();
        }
        loop {
            match tenure.next().await {
                Ok(()) => {
                    if told.take().is_some() {
                        tracing::info!("the projections go on");
                    }
                    self.gate.ready();
                    metrics::stopped(self.number, None);
                }
                Err(error) => return error,
            }
        }
    }

    /// Says what went wrong, once for each new trouble; answers for how long to rest.
    fn tell(&self, error: &Error, told: &mut Option<String>) -> Duration {
        let (what, pause) = match error {
            // Work goes on elsewhere, or here after the next claim.
            Error::Ended => {
                tracing::info!("another worker has claimed some of the partitions");
                return RETRY_AFTER;
            }
            Error::NoFold { .. } | Error::UnknownModel { .. } => ("unfit", RETRY_UNFIT_AFTER),
            Error::Write(_)
            | Error::Read(_)
            | Error::Follow(_)
            | Error::NewGeneration { .. }
            | Error::FarBehind { .. }
            | Error::NotThere { .. } => ("error", RETRY_AFTER),
        };
        metrics::stopped(self.number, Some(what));
        let text = chain(error);
        self.gate.not_ready(error.to_string());
        if told.as_ref() != Some(&text) {
            tracing::error!(error = text, "the projections stand still");
            *told = Some(text);
        }
        pause
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
