//! Sharing out the partitions of a work among its live workers.
//!
//! Each worker says that it lives, renews what it holds, gives back what is above its fair share, and takes of what is
//! free or lapsed up to it. The shares differ by at most one, and settle within two rounds of a change.

use std::time::Duration;

use sqlx::Row;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::EventStore;
use crate::leases::Lease;

#[derive(Debug, Clone)]
pub struct ShareOptions {
    /// What is shared out: the name of a projection, a process manager, a relay.
    pub name: String,
    /// Partitions 0…n−1.
    pub partitions: i16,
    /// How long a worker that is silent keeps its share. With a round every eighth of it, a dead worker's share is taken
    /// over within one and an eighth, and one that was given back within an eighth.
    pub ttl: Duration,
}

impl ShareOptions {
    pub fn new(name: impl Into<String>, partitions: i16) -> Self {
        Self { name: name.into(), partitions, ttl: Duration::from_secs(4) }
    }

    fn round(&self) -> Duration {
        self.ttl / 8
    }
}

/// The leases that this worker holds, in the order of their partitions.
pub type Share = Vec<Lease>;

/// For a share to be given back at the end; then it lapses.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(5);

/// A worker's share, kept up in the background. Dropping it gives the share back, some time; [`Shares::leave`] waits for it.
pub struct Shares {
    held: watch::Receiver<Share>,
    stop: watch::Sender<()>,
    worker: JoinHandle<()>,
}

impl Shares {
    pub fn keep(store: EventStore, options: ShareOptions) -> Self {
        let (publish, held) = watch::channel(Share::new());
        let (stop, stopped) = watch::channel(());
        let worker = tokio::spawn(Worker { store, options, id: Uuid::now_v7(), publish }.run(stopped));
        Self { held, stop, worker }
    }

    /// Gives the share back now, so that nobody waits for it to lapse. At the end of a process, before its pool is closed.
    pub async fn leave(self) {
        let Self { held: _held, stop, worker } = self;
        drop(stop);
        if tokio::time::timeout(LEAVE_WAIT_MAX, worker).await.is_err() {
            tracing::warn!("leases were not given back in time; they lapse");
        }
    }

    /// What is held now. Anything may be lost at any time: commits are checked with [`assert_in`](crate::leases::assert_in).
    pub fn current(&self) -> Share {
        self.held.borrow().clone()
    }

    /// The share after it has changed. Cancel safe.
    pub async fn changed(&mut self) -> Share {
        if self.held.changed().await.is_err() {
            // The worker ends only after this handle.
            std::future::pending::<()>().await;
        }
        self.held.borrow_and_update().clone()
    }
}

struct Worker {
    store: EventStore,
    options: ShareOptions,
    id: Uuid,
    publish: watch::Sender<Share>,
}

impl Worker {
    async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            match self.round().await {
                Ok(share) => {
                    renewed = tokio::time::Instant::now();
                    self.publish(share);
                }
                Err(error) => {
                    tracing::warn!(name = self.options.name, %error, "leases can't be renewed");
                    if renewed.elapsed() >= self.options.ttl {
                        self.publish(Share::new());
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.options.round()) => {}
                _ = stopped.changed() => break,
            }
        }
        let leave = sqlx::query(include_str!("leave.sql")).bind(&self.options.name).bind(self.id);
        if let Err(error) = self.store.database().execute(leave).await {
            tracing::warn!(name = self.options.name, %error, "leases were not given back; they lapse");
        }
    }

    fn publish(&self, share: Share) {
        self.publish.send_if_modified(|held| {
            let changed = *held != share;
            *held = share;
            changed
        });
    }

    async fn round(&self) -> Result<Share, sqlx::Error> {
        let ShareOptions { name, partitions, ttl } = &self.options;
        let statement = sqlx::query(include_str!("share.sql")).bind(name).bind(self.id).bind(ttl.as_secs_f64());
        let rows = self.store.database().fetch_all(statement.bind(partitions)).await?;
        let lease = |row: &sqlx::postgres::PgRow| {
            let (partition, epoch) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Lease { name: name.clone(), partition, holder: self.id, epoch })
        };
        rows.iter().map(lease).collect()
    }
}
