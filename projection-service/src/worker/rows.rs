//! The rows that batches change: kept in memory, read where they are not.

use std::sync::Arc;

use quick_cache::unsync::Cache;
use schema::view::{Model, RowChange, ViewStore};

use crate::metrics;

pub(super) type Slot = (Model, String);

/// True for as long as its tenure lasts, since nobody else writes rows of its partitions; thrown away with it.
pub(super) struct Rows {
    store: ViewStore,
    kept: Cache<Slot, Arc<RowChange>>,
}

impl Rows {
    pub fn new(store: ViewStore, rows_max: usize) -> Self {
        Self { store, kept: Cache::new(rows_max) }
    }

    pub fn get(&self, slot: &Slot) -> Option<&Arc<RowChange>> {
        self.kept.get(slot)
    }

    /// Reads what is wanted and not kept, in one statement. What is not there is in nobody's answer.
    pub async fn read(&self, wanted: &[&Slot]) -> Result<Vec<Arc<RowChange>>, schema::view::Error> {
        let missing = wanted.iter().filter(|slot| self.kept.peek(**slot).is_none());
        let missing: Vec<(Model, &str)> = missing.map(|(model, key)| (*model, key.as_str())).collect();
        if missing.is_empty() {
            return Ok(vec![]);
        }
        metrics::read(missing.len());
        Ok(self.store.get_all(&missing).await?.rows)
    }

    pub fn keep(&mut self, change: &Arc<RowChange>) {
        match change.row.model() {
            // Each is written once and never looked at again.
            Model::MeterValues => {}
            model => self.kept.insert((model, change.key.clone()), Arc::clone(change)),
        }
    }
}
