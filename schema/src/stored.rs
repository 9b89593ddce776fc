//! An event as it is stored, undecoded: for who shows, exports or archives the log.

use chrono::{DateTime, Utc};
use domain::envelope::Envelope;
use domain::event::Event;
use uuid::Uuid;

use crate::catalogue::DecodeError;
use crate::log::{Generation, Position, RawEvent};
use crate::metadata;

#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub position: Position,
    pub sequence: i64,
    pub generation: Generation,
    pub recorded_at: DateTime<Utc>,
    pub event_id: Uuid,
    pub partition_key: Uuid,
    /// The number of its [class](domain::envelope::Retention), which may be one that this program knows not.
    pub retention: i16,
    /// Of the log, 0 to 63.
    pub partition: u8,
    pub aggregate_type: String,
    pub aggregate_id: Uuid,
    pub event_type: String,
    pub event_version: String,
    /// JSON text, to the byte.
    pub payload: String,
    /// JSON text: a flat map of strings.
    pub metadata: String,
    /// The first 16 bytes of the SHA-256 of the payload's text.
    pub payload_hash: Uuid,
}

/// The same, borrowed: for who only passes it on.
#[derive(Debug, Clone, Copy)]
pub struct StoredRef<'a> {
    pub position: Position,
    pub sequence: i64,
    pub generation: Generation,
    pub recorded_at: DateTime<Utc>,
    pub event_id: Uuid,
    pub partition_key: Uuid,
    pub retention: i16,
    pub partition: u8,
    pub aggregate_type: &'a str,
    pub aggregate_id: Uuid,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
    pub metadata: &'a str,
    pub payload_hash: Uuid,
}

impl StoredEvent {
    pub fn as_ref(&self) -> StoredRef<'_> {
        StoredRef {
            position: self.position,
            sequence: self.sequence,
            generation: self.generation,
            recorded_at: self.recorded_at,
            event_id: self.event_id,
            partition_key: self.partition_key,
            retention: self.retention,
            partition: self.partition,
            aggregate_type: &self.aggregate_type,
            aggregate_id: self.aggregate_id,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
            payload_hash: self.payload_hash,
        }
    }

    /// Through the upcasters.
    pub fn event(&self) -> Result<Event, DecodeError> {
        let Self { aggregate_type, event_type, event_version, payload, .. } = self;
        RawEvent { aggregate_type, event_type, event_version, payload }.decode()
    }

    pub fn envelope(&self) -> Result<Envelope, metadata::Error> {
        metadata::from_json(&self.metadata)
    }
}
