//! Versions of an event that are stored and no longer written.

use std::collections::BTreeMap;

use domain::event::AggregateType;
use serde::Serialize;

use crate::upcast::Step;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Older {
    pub version: String,
    /// The version that it is read as next, and so on to the newest.
    pub to: String,
    /// What changes on the way.
    pub says: String,
    /// How the structure differs, a line for each member: `- ` before what is no more, `+ ` before what is new.
    pub changes: Vec<String>,
}

/// `changes`: how each older version differs from the next.
pub fn versions(
    steps: &[Step],
    aggregate: AggregateType,
    event_type: &str,
    changes: &BTreeMap<String, Vec<String>>,
) -> Vec<Older> {
    let of_event = steps.iter().filter(|step| (step.aggregate, step.event_type) == (aggregate, event_type));
    let mut older: Vec<_> = of_event
        .map(|step| Older {
            version: step.from.to_owned(),
            to: step.to.to_owned(),
            says: step.says.to_owned(),
            changes: changes.get(step.from).cloned().unwrap_or_default(),
        })
        .collect();
    older.sort_by_key(|older| older.version.parse::<u32>().unwrap_or(u32::MAX));
    older
}
