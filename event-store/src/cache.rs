//! Aggregate states in memory. What is here may be old: an append checks its version, a refusal must be checked first.

use std::any::Any;
use std::sync::Arc;

use quick_cache::sync;
use schema::log::{Generation, StreamId};

use crate::lineage::Era;

/// A state and the version that it is of.
#[derive(Debug)]
pub struct Loaded<A> {
    pub state: Arc<A>,
    /// Of the stream: 0 before its first event.
    pub version: i64,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), version: self.version }
    }
}

#[derive(Clone)]
struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    version: i64,
    /// The version at which the state was last stored, as far as is known here.
    stored_version: i64,
    /// Of the log when it was loaded or made: in another one the same version may have other events.
    generation: Generation,
}

pub(crate) struct Cache {
    entries: sync::Cache<StreamId, Entry>,
    era: Era,
}

impl Cache {
    pub fn new(states_max: usize, era: Era) -> Self {
        Self { entries: sync::Cache::new(states_max), era }
    }

    fn entry(&self, stream: StreamId) -> Option<Entry> {
        self.entries.get(&stream).filter(|entry| entry.generation == self.era.generation())
    }

    pub fn get<A: Send + Sync + 'static>(&self, stream: StreamId) -> Option<Loaded<A>> {
        let entry = self.entry(stream)?;
        Some(Loaded { state: entry.state.downcast().ok()?, version: entry.version })
    }

    /// Keeps a newer state, and answers by how many events it has grown since it was stored.
    pub fn put<A: Send + Sync + 'static>(
        &self,
        stream: StreamId,
        generation: Generation,
        loaded: &Loaded<A>,
        stored_version: i64,
    ) -> i64 {
        let present = self.entry(stream);
        let stored_version = present.as_ref().map_or(0, |entry| entry.stored_version).max(stored_version);
        if present.is_none_or(|entry| entry.version < loaded.version) {
            let state: Arc<dyn Any + Send + Sync> = loaded.state.clone();
            self.entries.insert(stream, Entry { state, version: loaded.version, stored_version, generation });
        }
        loaded.version - stored_version
    }

    pub fn stored(&self, stream: StreamId, version: i64) {
        if let Some(entry) = self.entry(stream) {
            self.entries.insert(stream, Entry { stored_version: version.max(entry.stored_version), ..entry });
        }
    }

    pub fn forget(&self, stream: StreamId) {
        self.entries.remove(&stream);
    }
}
