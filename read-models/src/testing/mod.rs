//! A random network: aggregates decide random commands, so that what it does is what could happen. The same seed does the
//! same.

mod network;
mod parking;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use schema::log::{Generation, NewEvent, Position, RecordedEvent, StreamId};
use schema::partition::partition;

pub use network::Network;
pub use parking::{FoldedLog, ParkedKey, fold_log};

/// Events of one stream, of one append.
#[derive(Debug, Clone)]
pub struct Written {
    pub stream: StreamId,
    pub events: Vec<NewEvent>,
}

/// A log in memory, which gives events their positions.
#[derive(Debug, Default)]
pub struct MemoryLog {
    events: Vec<Arc<RecordedEvent>>,
    versions: HashMap<StreamId, i64>,
}

impl MemoryLog {
    pub fn append(&mut self, written: Vec<Written>) {
        let recorded_at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(self.events.len() as i64);
        for Written { stream, events } in written {
            for event in events {
                let version = self.versions.entry(stream).or_default();
                *version += 1;
                self.events.push(Arc::new(RecordedEvent {
                    position: Position(self.events.len() as i64 + 1),
                    generation: Generation::FIRST,
                    partition: partition(event.partition_key),
                    partition_key: event.partition_key,
                    stream,
                    sequence: *version,
                    event_id: event.event_id,
                    event_type: event.event_type.to_owned(),
                    event_version: event.event_version.to_owned(),
                    retention: event.retention,
                    recorded_at,
                    envelope: event.envelope,
                    payload_hash: event.payload_hash,
                    event: Ok(event.event),
                }));
            }
        }
    }

    pub fn events(&self) -> &[Arc<RecordedEvent>] {
        &self.events
    }
}
