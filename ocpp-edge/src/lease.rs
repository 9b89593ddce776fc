//! That this edge lives, for those who watch: when its lease lapses, others record its chargers as disconnected.

use std::time::Duration;

use application::report::edge_lease;
use event_store::EventStore;
use event_store::leases::Lease;
use service_host::Shutdown;
use uuid::Uuid;

/// How long an edge may be silent before its chargers count as disconnected.
pub const LEASE_TTL: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(4);

/// Holds the lease until the end of the edge; answers it, if it is still held.
pub async fn hold(store: EventStore, edge: String, ended: Shutdown) -> Option<Lease> {
    let (name, holder) = (edge_lease(&edge), Uuid::now_v7());
    let mut held: Option<Lease> = None;
    loop {
        held = renew(&store, &name, holder, held).await;
        tokio::select! {
            () = tokio::time::sleep(RENEW_EVERY) => {}
            () = ended.begun() => return held,
        }
    }
}

/// The edge is through, and chargers that it has sent away may be on their way to others: they get a whole term for that, before
/// whoever sees the lease lapse records those as disconnected that have not come back.
pub async fn let_lapse(store: &EventStore, lease: &Lease) {
    match store.renew_lease(lease, LEASE_TTL).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(name = lease.name, "the edge's lease was lost at the end"),
        Err(error) => tracing::warn!(name = lease.name, %error, "the edge's lease was not renewed at the end"),
    }
}

/// Gives the lease back, so that nobody waits for it to lapse.
pub async fn give_back(store: &EventStore, lease: &Lease) {
    if let Err(error) = store.release_lease(lease).await {
        tracing::warn!(name = lease.name, %error, "the edge's lease was not given back; it lapses");
    }
}

async fn renew(store: &EventStore, name: &str, holder: Uuid, held: Option<Lease>) -> Option<Lease> {
    if let Some(lease) = held {
        match store.renew_lease(&lease, LEASE_TTL).await {
            Ok(true) => return Some(lease),
            Ok(false) => tracing::error!(name, "the edge's lease was lost; its chargers may count as disconnected"),
            Err(error) => {
                tracing::warn!(name, %error, "the edge's lease can't be renewed");
                return Some(lease);
            }
        }
    }
    match store.acquire_lease(name, 0, holder, LEASE_TTL).await {
        Ok(Some(lease)) => Some(lease),
        Ok(None) => {
            tracing::error!(name, "another process has the edge's lease; each run of an edge needs a name of its own");
            None
        }
        Err(error) => {
            tracing::warn!(name, %error, "the edge's lease can't be acquired");
            None
        }
    }
}
