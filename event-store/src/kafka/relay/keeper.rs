//! Keeps the lease of a leader, and writes its checkpoints under it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::RelayOptions;
use super::checkpoint::{Checkpoint, Key};
use crate::EventStore;
use crate::leases::Lease;

pub(super) struct Keeper<'r> {
    pub store: &'r EventStore,
    pub options: &'r RelayOptions,
    pub lease: &'r Lease,
    pub checkpoints: watch::Receiver<Option<(Key, Checkpoint)>>,
    /// The newest one could not be written: it is tried again.
    pub failed: bool,
}

impl Keeper<'_> {
    /// Ends when the lease is lost, or can't be told to be held.
    pub async fn keep(mut self) {
        let ttl = self.options.lease_ttl;
        let (mut renewed, mut renew_at) = (Instant::now(), Instant::now() + ttl / 4);
        loop {
            tokio::time::sleep(self.options.checkpoint_every.min(ttl / 4)).await;
            if !self.checkpoint().await {
                return;
            }
            if Instant::now() < renew_at {
                continue;
            }
            match timeout(ttl / 2, self.store.renew_lease(self.lease, ttl)).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    renew_at = renewed + ttl / 4;
                }
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(%error, "the lease of the relay can't be renewed"),
                Err(_) => tracing::warn!("the lease of the relay can't be renewed: the database doesn't answer"),
            }
            if renewed.elapsed() >= ttl {
                return;
            }
        }
    }

    /// Writes the newest one. False: the lease is another's.
    async fn checkpoint(&mut self) -> bool {
        // While the log is quiet no other one comes.
        if !self.failed && !self.checkpoints.has_changed().unwrap_or(false) {
            return true;
        }
        let Some((key, checkpoint)) = self.checkpoints.borrow_and_update().clone() else { return true };
        let patience: Duration = self.options.lease_ttl / 2;
        let failed_before = self.failed;
        let written = timeout(patience, checkpoint.write(self.store, &key, self.lease)).await;
        self.failed = !matches!(written, Ok(Ok(_)));
        match written {
            Ok(Ok(held)) => return held,
            Ok(Err(error)) if !failed_before => tracing::warn!(%error, "the relay's checkpoint can't be written"),
            Err(_) if !failed_before => {
                tracing::warn!("the relay's checkpoint can't be written: the database doesn't answer");
            }
            // It was said.
            Ok(Err(_)) | Err(_) => {}
        }
        true
    }
}
