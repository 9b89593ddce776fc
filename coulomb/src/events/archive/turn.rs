//! One run of archiving at a time: by a lease, kept up while the run goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use event_store::EventStore;
use event_store::leases::Lease;
use tokio::task::JoinHandle;
use uuid::Uuid;

const LEASE: &str = "events-archive";
const TTL: Duration = Duration::from_secs(20);

pub struct Turn {
    store: EventStore,
    lease: Lease,
    lost: Arc<AtomicBool>,
    keeping: JoinHandle<()>,
}

impl Turn {
    /// # Errors
    /// When another run is under way, or was killed a moment ago.
    pub async fn take(store: &EventStore) -> anyhow::Result<Self> {
        let Some(lease) = store.acquire_lease(LEASE, 0, Uuid::now_v7(), TTL).await? else {
            bail!(
                "another run archives, or was killed less than {} s ago: wait until it has ended, and try again",
                TTL.as_secs()
            );
        };
        let lost = Arc::new(AtomicBool::new(false));
        let keeping = tokio::spawn(keep(store.clone(), lease.clone(), Arc::clone(&lost)));
        Ok(Self { store: store.clone(), lease, lost, keeping })
    }

    /// Before anything that counts.
    ///
    /// # Errors
    /// When another run has begun meanwhile: this one was frozen.
    pub fn is_ours(&self) -> anyhow::Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            bail!(
                "this run was silent for over {} s, and another may have begun: run it again to go on",
                TTL.as_secs()
            );
        }
        Ok(())
    }

    pub async fn give_back(self) -> anyhow::Result<()> {
        self.keeping.abort();
        self.store.release_lease(&self.lease).await?;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn keep(store: EventStore, lease: Lease, lost: Arc<AtomicBool>) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(TTL / 4).await;
        match store.renew_lease(&lease, TTL).await {
            Ok(true) => renewed = tokio::time::Instant::now(),
            Ok(false) => break,
            Err(_) if renewed.elapsed() >= TTL => break,
            Err(error) => tracing::warn!(%error, "the lease of archiving can't be renewed"),
        }
    }
    lost.store(true, Ordering::Relaxed);
}
