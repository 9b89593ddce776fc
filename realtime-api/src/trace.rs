//! The trace that follows one charger message to the phone: its id stands in the event, the event's position in what is
//! fanned out. Looked up only where somebody listens to these lines.

use std::sync::Arc;

use event_store::{EventStore, PartitionSet};
use schema::log::Position;

use crate::hub::Update;

/// Batches longer than this are a catching up, whose traces nobody follows.
const POSITIONS_MAX: i64 = 1_000;

#[derive(Clone)]
pub struct Traces {
    store: EventStore,
}

impl Traces {
    pub fn new(store: EventStore) -> Self {
        Self { store }
    }

    /// Logs what is fanned out, each with its position and trace id. Does not wait.
    pub fn log(&self, after: Position, upto: Position, updates: &[Arc<Update>]) {
        if updates.is_empty() || upto.0 - after.0 > POSITIONS_MAX || !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (store, updates) = (self.store.clone(), updates.to_vec());
        tokio::spawn(async move {
            let events = match store.read(after, upto.0 - after.0, PartitionSet::ALL).await {
                Ok(stretch) => stretch.events,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "traces can't be read");
                    return;
                }
            };
            for update in updates {
                let event = events.iter().find(|event| event.position == update.position);
                let trace_id = event.and_then(|event| event.envelope.trace_id.as_deref());
                tracing::debug!(position = update.position.0, key = update.key_text, trace_id, "fanned out");
            }
        });
    }
}
