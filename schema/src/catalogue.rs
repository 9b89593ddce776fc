//! From stored events of any version to events of today.

use domain::event::{AggregateType, Event};
use serde::de::Error as _;

use crate::log::RawEvent;
use crate::metadata;
use crate::upcast::{self, STEPS, Step, UpcastError};

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("this program knows no aggregate {0}: a newer program wrote it, update this one")]
    UnknownAggregate(String),
    #[error("this program knows no retention class {0}: a newer program wrote it, update this one")]
    UnknownRetention(i16),
    #[error("the event's envelope can't be read")]
    Envelope(#[from] metadata::Error),
    #[error("{aggregate} has no event {event_type} of version {event_version}")]
    UnknownEvent { aggregate: &'static str, event_type: String, event_version: String },
    #[error(
        "{event_type} was stored in version {event_version}, and this program knows it up to version {newest}: a newer \
         program wrote it, update this one"
    )]
    NewerVersion { event_type: String, event_version: String, newest: &'static str },
    #[error("{event_type} of version {event_version} has another shape than expected")]
    Malformed { event_type: String, event_version: String, source: serde_json::Error },
    #[error("{event_type} of version {event_version} can't be brought to the newest version")]
    Upcast { event_type: String, event_version: String, source: UpcastError },
}

/// Which version of each event is the newest, and what leads there from older ones.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue<'c> {
    /// The newest version of an event type, where the aggregate has it.
    newest: fn(AggregateType, &str) -> Option<&'static str>,
    steps: &'c [Step],
}

/// That of this program.
pub const TODAY: Catalogue<'static> = Catalogue::new(newest_of_today, STEPS);

fn newest_of_today(aggregate: AggregateType, event_type: &str) -> Option<&'static str> {
    aggregate.event_types().iter().find(|(name, _)| *name == event_type).map(|(_, version)| *version)
}

/// Decoded through the upcasters, if the stored version is an older one.
pub fn decode(raw: &RawEvent<'_>) -> Result<Event, DecodeError> {
    TODAY.decode(raw)
}

impl<'c> Catalogue<'c> {
    pub const fn new(newest: fn(AggregateType, &str) -> Option<&'static str>, steps: &'c [Step]) -> Self {
        Self { newest, steps }
    }

    /// # Errors
    /// What is not in the catalogue, or not as its version says.
    pub fn decode(&self, raw: &RawEvent<'_>) -> Result<Event, DecodeError> {
        let aggregate = AggregateType::parse(raw.aggregate_type)
            .ok_or_else(|| DecodeError::UnknownAggregate(raw.aggregate_type.to_owned()))?;
        let (event_type, event_version) = (raw.event_type, raw.event_version);
        let unknown = || DecodeError::UnknownEvent {
            aggregate: aggregate.as_str(),
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
        };
        let malformed = |source| DecodeError::Malformed {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            source,
        };
        let newest = (self.newest)(aggregate, event_type).ok_or_else(unknown)?;
        let event = if event_version == newest {
            Event::from_json(aggregate, raw.payload).map_err(malformed)?
        } else {
            let upcast = upcast::to_newest(self.steps, aggregate, event_type, event_version, newest, raw.payload)
                .ok_or_else(|| match is_newer(event_version, newest) {
                    true => DecodeError::NewerVersion {
                        event_type: event_type.to_owned(),
                        event_version: event_version.to_owned(),
                        newest,
                    },
                    false => unknown(),
                })?;
            let payload = upcast.map_err(|source| DecodeError::Upcast {
                event_type: event_type.to_owned(),
                event_version: event_version.to_owned(),
                source,
            })?;
            Event::from_value(aggregate, payload).map_err(malformed)?
        };
        // The columns decide who reads it: a payload that says something else is nobody's.
        match event.event_type() {
            named if named == event_type => Ok(event),
            other => Err(malformed(serde_json::Error::custom(format_args!("the payload is of {other}")))),
        }
    }
}

/// Versions are whole numbers.
fn is_newer(version: &str, than: &str) -> bool {
    matches!((version.parse::<u32>(), than.parse::<u32>()), (Ok(version), Ok(than)) if version > than)
}
