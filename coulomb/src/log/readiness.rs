//! A process that can append nothing is not ready, and says what to type.

use event_store::EventStore;
use service_host::{NotReady, Readiness};

/// Registers the check of the log.
pub fn register(store: &EventStore, readiness: &Readiness) {
    let lineage = store.lineage();
    readiness.register("log", move || {
        let state = lineage.borrow().clone();
        std::future::ready(if state.is_open() { Ok(()) } else { Err(NotReady(state.to_string())) })
    });
}
