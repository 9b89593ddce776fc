//! From stored events of any version to events of today.

use domain::event::{AggregateType, Event};
use serde::de::Error as _;

use crate::log::RawEvent;
use crate::upcast;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("there is no aggregate {0}")]
    UnknownAggregate(String),
    #[error("{aggregate} has no event {event_type} of version {event_version}")]
    UnknownEvent { aggregate: &'static str, event_type: String, event_version: String },
    #[error("{event_type} of version {event_version} has another shape than expected")]
    Malformed { event_type: String, event_version: String, source: serde_json::Error },
}

/// Decoded through the upcasters, if the stored version is an older one.
pub fn decode(raw: &RawEvent<'_>) -> Result<Event, DecodeError> {
    let aggregate = AggregateType::parse(raw.aggregate_type)
        .ok_or_else(|| DecodeError::UnknownAggregate(raw.aggregate_type.to_owned()))?;
    let malformed = |source| DecodeError::Malformed {
        event_type: raw.event_type.to_owned(),
        event_version: raw.event_version.to_owned(),
        source,
    };
    let is_newest =
        aggregate.event_types().iter().any(|(name, version)| *name == raw.event_type && *version == raw.event_version);
    if is_newest {
        let event = Event::from_json(aggregate, raw.payload).map_err(malformed)?;
        // The columns decide who reads it: a payload that says something else is nobody's.
        return match event.event_type() {
            named if named == raw.event_type => Ok(event),
            other => Err(malformed(serde_json::Error::custom(format_args!("the payload is of {other}")))),
        };
    }
    match upcast::to_newest(aggregate, raw.event_type, raw.event_version, raw.payload) {
        Some(payload) => Event::from_value(aggregate, payload.map_err(malformed)?).map_err(malformed),
        None => Err(DecodeError::UnknownEvent {
            aggregate: aggregate.as_str(),
            event_type: raw.event_type.to_owned(),
            event_version: raw.event_version.to_owned(),
        }),
    }
}
