//! The records of the log: what is appended, what is read back.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::envelope::{Envelope, Retention};
use domain::event::{AggregateType, Event};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalogue::{self, DecodeError};
use crate::digest::payload_hash;
use crate::partition::Partition;

/// The place of an event in the log: dense, from 1, in the order of commits. 0 is before the first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which history positions belong to: a new one after a promotion or restore that may have lost a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i64);

impl Generation {
    pub const FIRST: Self = Self(1);
}

/// A stream: the history of one aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub aggregate: AggregateType,
    pub id: Uuid,
}

impl StreamId {
    pub fn new(aggregate: AggregateType, id: impl Into<Uuid>) -> Self {
        Self { aggregate, id: id.into() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate.as_str(), self.id)
    }
}

/// An event about to be appended. Serialised where it is made, so that the append lane only moves bytes.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_id: Uuid,
    pub event_type: &'static str,
    pub event_version: &'static str,
    /// JSON text, stored to the byte.
    pub payload: String,
    /// Of the payload ([`payload_hash`](crate::digest::payload_hash)): stored beside it.
    pub payload_hash: Uuid,
    /// JSON text: a flat map of strings.
    pub metadata: String,
    pub partition_key: Uuid,
    pub retention: Retention,
    /// The same, as the reader of this process will see it.
    pub event: Arc<Event>,
    pub envelope: Arc<Envelope>,
}

impl NewEvent {
    /// `partition_key`: the charge point, the account or the token that it belongs to; `stream.id` except where the aggregate belongs to another thing.
    pub fn new(event: Event, envelope: Arc<Envelope>, partition_key: Uuid) -> Self {
        let payload = event.to_json();
        Self {
            event_id: Uuid::now_v7(),
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload_hash: payload_hash(&payload),
            payload,
            metadata: crate::metadata::to_json(&envelope),
            partition_key,
            retention: event.retention(),
            event: Arc::new(event),
            envelope,
        }
    }
}

/// An event as the log holds it.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    pub position: Position,
    pub generation: Generation,
    pub partition: Partition,
    pub partition_key: Uuid,
    /// Its aggregate is [`AggregateType::Unknown`] where this program knows it not; `event` is an error then.
    pub stream: StreamId,
    /// From 1 in its stream.
    pub sequence: i64,
    pub event_id: Uuid,
    pub event_type: String,
    pub event_version: String,
    /// The class that is kept longest where it is of one that is not known; `event` is an error then.
    pub retention: Retention,
    /// Never goes back as positions rise.
    pub recorded_at: DateTime<Utc>,
    /// It says nothing where it can't be read; `event` is an error then.
    pub envelope: Arc<Envelope>,
    /// Of the stored payload, as it was taken when it was appended.
    pub payload_hash: Uuid,
    /// The event in its newest version, or why it could not be understood.
    pub event: Result<Arc<Event>, Arc<DecodeError>>,
}

/// A row of the events table, as text.
#[derive(Debug)]
pub struct RawEvent<'a> {
    pub aggregate_type: &'a str,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
}

impl RawEvent<'_> {
    /// Decoded through the upcasters.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        catalogue::decode(self)
    }
}
