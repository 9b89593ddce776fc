//! A row of the log as it is stored, whichever way it was read.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::envelope::{Actor, Envelope, Retention};
use domain::event::AggregateType;
use domain::id::TenantId;
use schema::catalogue::DecodeError;
use schema::log::{Generation, Position, RawEvent, RecordedEvent, StreamId};
use schema::metadata;
use schema::partition::Partition;
use schema::stored::{StoredEvent, StoredRef};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::read::Error;

pub(crate) struct EventRow<'a> {
    pub position: Position,
    pub sequence: i64,
    pub generation: Generation,
    pub recorded_at: DateTime<Utc>,
    pub event_id: Uuid,
    pub partition_key: Uuid,
    /// The number of its class.
    pub retention: i16,
    pub partition: i16,
    pub aggregate_type: &'a str,
    pub aggregate_id: &'a str,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
    pub metadata: &'a str,
    pub payload_hash: Uuid,
}

impl<'a> EventRow<'a> {
    /// Of the columns that the `.sql` files here name, in their order.
    pub fn of(row: &'a PgRow) -> Result<Self, Error> {
        let position = Position(row.try_get(0)?);
        Ok(Self {
            position,
            sequence: row.try_get(1)?,
            generation: Generation(row.try_get(2)?),
            recorded_at: row.try_get(3)?,
            event_id: row.try_get(4)?,
            partition_key: row.try_get(5)?,
            retention: row.try_get(6)?,
            partition: row.try_get(7)?,
            aggregate_type: row.try_get(8)?,
            aggregate_id: row.try_get(9)?,
            event_type: row.try_get(10)?,
            event_version: row.try_get(11)?,
            payload: row.try_get(12)?,
            metadata: row.try_get(13)?,
            payload_hash: row.try_get(14)?,
        })
    }

    /// `id`: its stream's, as text.
    pub fn of_stored(event: &'a StoredEvent, id: &'a str) -> Self {
        Self {
            position: event.position,
            sequence: event.sequence,
            generation: event.generation,
            recorded_at: event.recorded_at,
            event_id: event.event_id,
            partition_key: event.partition_key,
            retention: event.retention,
            partition: i16::from(event.partition),
            aggregate_type: &event.aggregate_type,
            aggregate_id: id,
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
            payload_hash: event.payload_hash,
        }
    }

    /// The event, decoded.
    ///
    /// # Errors
    /// When it can't be told whose it is. A type, class, envelope or payload that can't be understood is no error here, but
    /// in [`RecordedEvent::event`]: who follows the log decides what to do without it, and goes on.
    pub fn recorded(&self) -> Result<RecordedEvent, Error> {
        let Self { aggregate_type, event_type, event_version, payload, .. } = *self;
        let aggregate = AggregateType::parse(aggregate_type).unwrap_or(AggregateType::Unknown);
        let id = self.aggregate_id()?;
        let partition = u8::try_from(self.partition).ok().and_then(Partition::new);
        let retention = Retention::from_code(self.retention);
        let (envelope, unreadable) = match metadata::from_json(self.metadata) {
            Ok(envelope) => (envelope, None),
            Err(error) => (Envelope::new(TenantId::DEFAULT, Actor::system("unreadable")), Some(error)),
        };
        let event = match (aggregate, retention, unreadable) {
            (AggregateType::Unknown, ..) => Err(DecodeError::UnknownAggregate(aggregate_type.to_owned())),
            (_, None, _) => Err(DecodeError::UnknownRetention(self.retention)),
            (_, Some(_), Some(error)) => Err(error.into()),
            (_, Some(_), None) => RawEvent { aggregate_type, event_type, event_version, payload }.decode(),
        };
        Ok(RecordedEvent {
            position: self.position,
            generation: self.generation,
            partition: partition.ok_or(self.corrupt("partition"))?,
            partition_key: self.partition_key,
            stream: StreamId { aggregate, id },
            sequence: self.sequence,
            event_id: self.event_id,
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            retention: retention.unwrap_or(Retention::Ledger),
            recorded_at: self.recorded_at,
            envelope: Arc::new(envelope),
            payload_hash: self.payload_hash,
            event: event.map(Arc::new).map_err(Arc::new),
        })
    }

    /// The event, undecoded.
    ///
    /// # Errors
    /// When a column can't be read.
    pub fn stored(&self) -> Result<StoredEvent, Error> {
        Ok(StoredEvent {
            position: self.position,
            sequence: self.sequence,
            generation: self.generation,
            recorded_at: self.recorded_at,
            event_id: self.event_id,
            partition_key: self.partition_key,
            retention: self.retention,
            partition: u8::try_from(self.partition).map_err(|_| self.corrupt("partition"))?,
            aggregate_type: self.aggregate_type.to_owned(),
            aggregate_id: self.aggregate_id()?,
            event_type: self.event_type.to_owned(),
            event_version: self.event_version.to_owned(),
            payload: self.payload.to_owned(),
            metadata: self.metadata.to_owned(),
            payload_hash: self.payload_hash,
        })
    }

    /// The event, undecoded and borrowed.
    ///
    /// # Errors
    /// When a column can't be read.
    pub fn borrowed(&self) -> Result<StoredRef<'a>, Error> {
        Ok(StoredRef {
            position: self.position,
            sequence: self.sequence,
            generation: self.generation,
            recorded_at: self.recorded_at,
            event_id: self.event_id,
            partition_key: self.partition_key,
            retention: self.retention,
            partition: u8::try_from(self.partition).map_err(|_| self.corrupt("partition"))?,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id()?,
            event_type: self.event_type,
            event_version: self.event_version,
            payload: self.payload,
            metadata: self.metadata,
            payload_hash: self.payload_hash,
        })
    }

    fn aggregate_id(&self) -> Result<Uuid, Error> {
        Uuid::parse_str(self.aggregate_id).map_err(|_| self.corrupt("aggregate id"))
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::Corrupt { position: self.position, what }
    }
}
