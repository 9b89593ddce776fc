//! One run of archiving at a time: by a lease, kept up while the run goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use event_store::EventStore;
use event_store::leases::Lease;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

const LEASE: &str = "events-archive";
const TTL: Duration = Duration::from_secs(20);

/// When the lease was last renewed; none: another has it, or had it.
type Renewed = Arc<Mutex<Option<Instant>>>;

pub struct Turn {
    store: EventStore,
    lease: Lease,
    renewed: Renewed,
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
        let renewed = Arc::new(Mutex::new(Some(Instant::now())));
        let keeping = tokio::spawn(keep(store.clone(), lease.clone(), Arc::clone(&renewed)));
        Ok(Self { store: store.clone(), lease, renewed, keeping })
    }

    /// Under which everything that counts is written down.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Before work that may be in vain, as far as this process knows.
    ///
    /// # Errors
    /// When another run has begun meanwhile: this one was frozen.
    pub fn is_ours(&self) -> anyhow::Result<()> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_none_or(|renewed| renewed.elapsed() >= TTL) {
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

async fn keep(store: EventStore, lease: Lease, renewed: Renewed) {
    loop {
        tokio::time::sleep(TTL / 4).await;
        // Counted from before the question: the answer may come late.
        let asked = Instant::now();
        match store.renew_lease(&lease, TTL).await {
            Ok(held) => {
                *renewed.lock().unwrap_or_else(PoisonError::into_inner) = held.then_some(asked);
                if !held {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "the lease of archiving can't be renewed"),
        }
    }
}
