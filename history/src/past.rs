use std::sync::Arc;
use std::time::Duration;

use event_store::EventStore;
use quick_cache::sync::Cache;
use read_models::Folds;
use schema::log::{Generation, Position};
use schema::view::{Model, ViewStore};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Error;
use crate::delta::{Delta, RowCount};

/// Looks that fold at the same time; each takes a core and some connections.
const LOOKS_MAX: usize = 2;
/// How long a look waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Rows of deltas that are kept in memory, so that the next page of a list need not fold again. A row takes some kilobytes.
const ROWS_MAX: u64 = 40_000;
const DELTAS_ESTIMATED: usize = 64;

/// A delta that is kept: of which read model, from where, up to where.
pub(crate) type DeltaKey = (Model, Generation, Position, Position);

/// The handle of those who look back. Cheap to clone; clones share what they have folded.
#[derive(Clone)]
pub struct Past(Arc<Inner>);

struct Inner {
    store: EventStore,
    views: ViewStore,
    folds: Folds,
    deltas: Cache<DeltaKey, Arc<Delta>, RowCount>,
    looks: Semaphore,
}

impl Past {
    /// On the log and the read models of one database.
    pub fn new(store: EventStore, views: ViewStore) -> Self {
        Self::with_folds(store, views, Folds::of_today())
    }

    /// With older folds beside those of today, for builds that were made with them.
    pub fn with_folds(store: EventStore, views: ViewStore, folds: Folds) -> Self {
        let deltas = Cache::with_weighter(DELTAS_ESTIMATED, ROWS_MAX, RowCount);
        Self(Arc::new(Inner { store, views, folds, deltas, looks: Semaphore::new(LOOKS_MAX) }))
    }

    pub(crate) fn store(&self) -> &EventStore {
        &self.0.store
    }

    pub(crate) fn views(&self) -> &ViewStore {
        &self.0.views
    }

    pub(crate) fn folds(&self) -> &Folds {
        &self.0.folds
    }

    pub(crate) fn deltas(&self) -> &Cache<DeltaKey, Arc<Delta>, RowCount> {
        &self.0.deltas
    }

    /// Waits for its turn to do something that takes long.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(WAIT_MAX, self.0.looks.acquire()).await {
            // It is never closed.
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Busy { retry_after: RETRY_AFTER }),
        }
    }
}
