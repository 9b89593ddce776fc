//! The reference of events, for those who read the log: what each type says, in which versions, how long it is kept.

pub mod json_schema;
mod kept;
mod meanings;
mod older;

use std::sync::OnceLock;

use domain::event::AggregateType;
use serde::Serialize;
use serde_json::Value;

use crate::golden;
use crate::upcast::STEPS;

pub use kept::{Kept, PartitionKey};
pub use meanings::{Alternative, Empty, EventMeaning, Kind, Meanings, Member, Part, Word};
pub use older::Older;

/// An event type, in its newest version.
#[derive(Debug, Clone, Serialize)]
pub struct EventReference {
    pub aggregate: &'static str,
    pub event_type: &'static str,
    pub version: &'static str,
    pub says: &'static str,
    pub members: &'static [Member],
    pub partition_key: PartitionKey,
    pub retention: Vec<Kept>,
    /// Versions that are stored and no longer written, from the first.
    pub older: Vec<Older>,
    /// The payload as it is stored, below the name of its type; every optional member filled.
    pub example: Value,
}

/// What `domain` says of its events.
pub fn meanings() -> &'static Meanings {
    static MEANINGS: OnceLock<Meanings> = OnceLock::new();
    MEANINGS.get_or_init(|| {
        serde_json::from_str(include_str!("../../reference/events.json")).expect("a test of this crate wrote it")
    })
}

/// Every event type, in the order of the catalogue.
pub fn events() -> &'static [EventReference] {
    static EVENTS: OnceLock<Vec<EventReference>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        let all = AggregateType::ALL.iter();
        all.flat_map(|aggregate| aggregate.event_types().iter().filter_map(|(name, _)| event(*aggregate, name)))
            .collect()
    })
}

/// None where nothing is said of it or its golden file is missing, of which a test complains.
fn event(aggregate: AggregateType, event_type: &'static str) -> Option<EventReference> {
    let EventMeaning { version, says, members, changes } = meanings().events.get(event_type)?;
    let golden = golden::find(event_type, version)?;
    let payload: Value = serde_json::from_str(golden.payload).ok()?;
    Some(EventReference {
        aggregate: aggregate.as_str(),
        event_type,
        version,
        says,
        members,
        partition_key: kept::partition_key(aggregate, event_type),
        retention: kept::retention(aggregate, event_type, &payload),
        older: older::versions(STEPS, aggregate, event_type, changes),
        example: payload[event_type].clone(),
    })
}

#[cfg(test)]
mod tests;
