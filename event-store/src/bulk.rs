//! Reading the log in bulk, for who makes something of all of it: raw rows by COPY, decoded where they are needed.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::event::AggregateType;
use futures_util::{Stream, TryStreamExt};
use pool::Connection;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;
use schema::stored::{StoredEvent, StoredRef};
use uuid::Uuid;

use crate::read::Error;
use crate::row::EventRow;

/// What stands before the first row of a binary COPY: signature, flags, length of an extension that there is not.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of fields that says that there is no further row.
const END: i16 = -1;
/// Seconds from Unix' epoch to Postgres'.
const EPOCH_S: i64 = 946_684_800;

/// Whose payloads are wanted. Of every other event no more than its columns comes.
#[derive(Debug, Clone)]
pub struct Selection(String);

impl Selection {
    /// All of every event.
    pub fn all() -> Self {
        Self("true".to_owned())
    }

    /// Everything of the aggregates, but for the events of these types.
    pub fn of(aggregates: &[AggregateType], not: &[(AggregateType, &str)]) -> Self {
        let of = |aggregate: &AggregateType| {
            let name = aggregate.as_str();
            let not = not.iter().filter(|(of, _)| of == aggregate).map(|(_, event_type)| format!("'{event_type}'"));
            let not = not.collect::<Vec<_>>().join(", ");
            let but = if not.is_empty() { String::new() } else { format!(" AND event_type NOT IN ({not})") };
            format!("(aggregate_type = '{name}'{but})")
        };
        Self(aggregates.iter().map(of).collect::<Vec<_>>().join(" OR "))
    }
}

/// A row of the log, undecoded.
#[derive(Debug, Clone)]
pub struct BulkRow {
    pub position: Position,
    pub partition: Partition,
    pub payload_hash: Uuid,
    /// The fields after these.
    rest: Bytes,
}

/// The rows in (`after`, `upto`], in the order of their positions. One short transaction: whoever wants more calls again.
/// A connection whose rows were not read to the end is of no further use, so it should be nobody else's.
pub async fn read<'c>(
    connection: &'c mut Connection<'_>,
    after: Position,
    upto: Position,
    selection: &Selection,
) -> Result<impl Stream<Item = Result<BulkRow, Error>> + use<'c>, Error> {
    let Selection(wanted) = selection;
    let statement = format!(
        "COPY (SELECT position, partition, payload_hash, sequence, generation, recorded_at, event_id, partition_key, retention, \
         aggregate_type, aggregate_id, event_type, event_version, CASE WHEN {wanted} THEN payload END, \
         CASE WHEN {wanted} THEN metadata END \
         FROM events WHERE position > {after} AND position <= {upto} ORDER BY position) TO STDOUT (FORMAT binary)"
    );
    let rows = connection.copy_out_raw(&statement).await?;
    Ok(rows.err_into().try_filter_map(|bytes| async move { BulkRow::parse(bytes) }))
}

impl BulkRow {
    /// None: what comes after the last row.
    fn parse(bytes: Bytes) -> Result<Option<Self>, Error> {
        let bytes = if bytes.starts_with(HEAD) { bytes.slice(HEAD.len()..) } else { bytes };
        if bytes.starts_with(&END.to_be_bytes()) {
            return Ok(None);
        }
        let mut fields = Fields::of(&bytes);
        let position = Position(fields.i64("position")?);
        fields.position = position;
        let partition = fields.partition()?;
        let payload_hash = fields.uuid("payload hash")?;
        let rest = bytes.slice_ref(fields.rest);
        Ok(Some(Self { position, partition, payload_hash, rest }))
    }

    /// An archived event, as its row would be; without its payload where that is not wanted.
    pub(crate) fn of(event: &StoredEvent, wanted: bool) -> Result<Self, Error> {
        let position = event.position;
        let partition = Partition::new(event.partition).ok_or(Error::Corrupt { position, what: "partition" })?;
        let since = event.recorded_at.timestamp_micros() - EPOCH_S * 1_000_000;
        let text = |text: &str| text.as_bytes().to_vec();
        let body = |text: &str| wanted.then(|| text.as_bytes().to_vec());
        let fields = [
            Some(event.sequence.to_be_bytes().to_vec()),
            Some(event.generation.0.to_be_bytes().to_vec()),
            Some(since.to_be_bytes().to_vec()),
            Some(event.event_id.as_bytes().to_vec()),
            Some(event.partition_key.as_bytes().to_vec()),
            Some(event.retention.to_be_bytes().to_vec()),
            Some(text(&event.aggregate_type)),
            Some(text(&event.aggregate_id.to_string())),
            Some(text(&event.event_type)),
            Some(text(&event.event_version)),
            body(&event.payload),
            body(&event.metadata),
        ];
        let mut rest = vec![];
        for field in fields {
            let length = field.as_ref().map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            rest.extend_from_slice(&length.to_be_bytes());
            rest.extend_from_slice(&field.unwrap_or_default());
        }
        Ok(Self { position, partition, payload_hash: event.payload_hash, rest: rest.into() })
    }

    /// The event; none where it was not selected. One of an aggregate that is not known is in everybody's selection.
    ///
    /// # Errors
    /// When a column can't be read. A payload that can't be understood is no error here, as in [`RecordedEvent::event`].
    pub fn recorded(&self) -> Result<Option<RecordedEvent>, Error> {
        self.row()?.map(|row| row.recorded()).transpose()
    }

    /// The event as it is stored; none where it was not selected.
    ///
    /// # Errors
    /// When a column can't be read.
    pub fn stored(&self) -> Result<Option<StoredRef<'_>>, Error> {
        self.row()?.map(|row| row.borrowed()).transpose()
    }

    /// How large it is.
    pub fn bytes(&self) -> usize {
        self.rest.len()
    }

    fn row(&self) -> Result<Option<EventRow<'_>>, Error> {
        // Without what was parsed already.
        let mut fields = Fields { rest: &self.rest, position: self.position };
        let sequence = fields.i64("sequence")?;
        let generation = Generation(fields.i64("generation")?);
        let recorded_at = fields.time("recorded_at")?;
        let event_id = fields.uuid("event id")?;
        let partition_key = fields.uuid("partition key")?;
        let retention = fields.i16("retention class")?;
        let aggregate_type = fields.text("aggregate type")?;
        let aggregate_id = fields.text("aggregate id")?;
        let event_type = fields.text("event type")?;
        let event_version = fields.text("event version")?;
        let (payload, metadata) = match (fields.optional_text("payload")?, fields.optional_text("metadata")?) {
            (Some(payload), Some(metadata)) => (payload, metadata),
            // Nobody could select it, and it may concern anybody. There is nothing in its payload for this program.
            _ if AggregateType::parse(aggregate_type).is_none() => ("", ""),
            _ => return Ok(None),
        };
        let row = EventRow {
            position: self.position,
            sequence,
            generation,
            recorded_at,
            event_id,
            partition_key,
            retention,
            partition: i16::from(self.partition.number()),
            aggregate_type,
            aggregate_id,
            event_type,
            event_version,
            payload,
            metadata,
            payload_hash: self.payload_hash,
        };
        Ok(Some(row))
    }
}

/// The fields of a row, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
    position: Position,
}

impl<'a> Fields<'a> {
    fn of(row: &'a [u8]) -> Self {
        Self { rest: row.get(2..).unwrap_or_default(), position: Position::START }
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::Corrupt { position: self.position, what }
    }

    fn next(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Error> {
        let (length, rest) = self.rest.split_first_chunk().ok_or(self.corrupt(what))?;
        self.rest = rest;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Ok(None) };
        let (field, rest) = self.rest.split_at_checked(length).ok_or(self.corrupt(what))?;
        self.rest = rest;
        Ok(Some(field))
    }

    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        self.next(what)?.and_then(|field| field.try_into().ok()).ok_or(self.corrupt(what))
    }

    fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.fixed(what).map(i64::from_be_bytes)
    }

    fn i16(&mut self, what: &'static str) -> Result<i16, Error> {
        self.fixed(what).map(i16::from_be_bytes)
    }

    fn uuid(&mut self, what: &'static str) -> Result<Uuid, Error> {
        self.fixed(what).map(Uuid::from_bytes)
    }

    fn partition(&mut self) -> Result<Partition, Error> {
        let number = u8::try_from(self.i16("partition")?).ok();
        number.and_then(Partition::new).ok_or(self.corrupt("partition"))
    }

    fn time(&mut self, what: &'static str) -> Result<DateTime<Utc>, Error> {
        let since = TimeDelta::microseconds(self.i64(what)?);
        DateTime::from_timestamp(EPOCH_S, 0).and_then(|epoch| epoch.checked_add_signed(since)).ok_or(self.corrupt(what))
    }

    fn optional_text(&mut self, what: &'static str) -> Result<Option<&'a str>, Error> {
        let text = self.next(what)?.map(std::str::from_utf8);
        text.transpose().map_err(|_| self.corrupt(what))
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Error> {
        self.optional_text(what)?.ok_or(self.corrupt(what))
    }
}
