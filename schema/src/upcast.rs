//! What turns a stored event of an older version into the newest: cqrs-es's `EventUpcaster`s, one step each.
//!
//! Every event is of its first version today. The first change of one adds its upcaster to [`upcasters`], and its old
//! golden file stays.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use domain::event::AggregateType;
use serde_json::Value;

fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    vec![]
}

/// The payload in its newest version; none where no upcaster leads there.
pub fn to_newest(
    aggregate: AggregateType,
    event_type: &str,
    event_version: &str,
    payload: &str,
) -> Option<Result<Value, serde_json::Error>> {
    let upcasters = upcasters();
    if !upcasters.iter().any(|upcaster| upcaster.can_upcast(event_type, event_version)) {
        return None;
    }
    let payload = match serde_json::from_str(payload) {
        Ok(payload) => payload,
        Err(error) => return Some(Err(error)),
    };
    let event = SerializedEvent {
        aggregate_id: String::new(),
        sequence: 0,
        aggregate_type: aggregate.as_str().to_owned(),
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        payload,
        metadata: Value::Null,
    };
    let upcast = upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    });
    Some(Ok(upcast.payload))
}
