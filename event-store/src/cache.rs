//! Aggregate states in memory. What is here may be old: an append checks its version, a refusal must be checked first.

use std::any::Any;
use std::sync::Arc;

use quick_cache::sync;
use schema::log::StreamId;

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
}

pub(crate) struct Cache(sync::Cache<StreamId, Entry>);

impl Cache {
    pub fn new(states_max: usize) -> Self {
        Self(sync::Cache::new(states_max))
    }

    pub fn get<A: Send + Sync + 'static>(&self, stream: StreamId) -> Option<Loaded<A>> {
        let entry = self.0.get(&stream)?;
        Some(Loaded { state: entry.state.downcast().ok()?, version: entry.version })
    }

    /// Keeps a newer state, and answers by how many events it has grown since it was stored.
    pub fn put<A: Send + Sync + 'static>(&self, stream: StreamId, loaded: &Loaded<A>, stored_version: i64) -> i64 {
        let present = self.0.get(&stream);
        let stored_version = present.as_ref().map_or(0, |entry| entry.stored_version).max(stored_version);
        if present.is_none_or(|entry| entry.version < loaded.version) {
            let state: Arc<dyn Any + Send + Sync> = loaded.state.clone();
            self.0.insert(stream, Entry { state, version: loaded.version, stored_version });
        }
        loaded.version - stored_version
    }

    pub fn stored(&self, stream: StreamId, version: i64) {
        if let Some(entry) = self.0.get(&stream) {
            self.0.insert(stream, Entry { stored_version: version.max(entry.stored_version), ..entry });
        }
    }

    pub fn forget(&self, stream: StreamId) {
        self.0.remove(&stream);
    }
}
