//! From a record to its event.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use domain::envelope::Retention;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Error, Head, METADATA, header};
use crate::log::{Generation, Position};
use crate::partition::PARTITION_COUNT;
use crate::stored::StoredEvent;

/// What the headers say. Those that are not known are passed over; of one that is there twice, the last one counts.
///
/// # Errors
/// When one is missing, or is no number.
pub fn head<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<Head, Error> {
    let (mut position, mut prev, mut generation, mut watermark, mut log) = (None, None, None, None, None);
    for (name, text) in headers {
        match name {
            header::POSITION => position = text,
            header::PREV => prev = text,
            header::GENERATION => generation = text,
            header::WATERMARK => watermark = text,
            header::LOG => log = text,
            _ => {}
        }
    }
    let generation = Generation(number(header::GENERATION, generation)?);
    let log = log.map(identity).transpose()?;
    if watermark.is_some() {
        return Ok(Head::Watermark { upto: Position(number(header::WATERMARK, watermark)?), generation, log });
    }
    Ok(Head::Event {
        position: Position(number(header::POSITION, position)?),
        prev: Position(number(header::PREV, prev)?),
        generation,
        log,
    })
}

fn identity(text: &[u8]) -> Result<Uuid, Error> {
    Uuid::try_parse_ascii(text).map_err(|_| Error::Log(shown(text)))
}

/// Of what can't be read, as much as helps.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(40).collect()
}

fn number(name: &'static str, text: Option<&[u8]>) -> Result<i64, Error> {
    let text = text.ok_or(Error::NoHeader(name))?;
    let read = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let other = || Error::Header { name, text: shown(text) };
    read.filter(|number| *number >= 0).ok_or_else(other)
}

/// A line. What is not known in it is passed over.
#[derive(Deserialize)]
struct Line<'a> {
    position: i64,
    #[serde(borrow)]
    recorded_at: Cow<'a, str>,
    generation: i64,
    event_id: Uuid,
    event_type: String,
    event_version: String,
    payload_hash: Uuid,
    aggregate_type: String,
    aggregate_id: Uuid,
    sequence: i64,
    partition_key: Uuid,
    partition: u8,
    #[serde(borrow)]
    retention: Cow<'a, str>,
    #[serde(borrow)]
    actor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    actor_kind: Option<&'a RawValue>,
    #[serde(borrow)]
    causation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    correlation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    device_at: Option<&'a RawValue>,
    #[serde(borrow)]
    occurred_at: Option<&'a RawValue>,
    #[serde(borrow)]
    occurred_source: Option<&'a RawValue>,
    #[serde(borrow)]
    actor_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    received_at: Option<&'a RawValue>,
    #[serde(borrow)]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow)]
    trace_id: Option<&'a RawValue>,
    stored_metadata: Option<String>,
    stored_payload: Option<String>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The event of a record, as it is stored.
///
/// # Errors
/// When the value is not an event's line, or not of the position that the headers said. What an event of its type should have
/// is not looked at: that is [`StoredEvent::event`].
pub fn decode(position: Position, value: &[u8]) -> Result<StoredEvent, Error> {
    let line: Line<'_> = serde_json::from_slice(value)?;
    if line.position != position.0 {
        return Err(Error::OtherPosition { head: position, value: Position(line.position) });
    }
    let metadata = line.metadata();
    let payload = match line.stored_payload {
        Some(stored) => stored,
        None => ["{\"", &line.event_type, "\":", line.payload.get(), "}"].concat(),
    };
    Ok(StoredEvent {
        position,
        sequence: line.sequence,
        generation: Generation(line.generation),
        recorded_at: time(&line.recorded_at).ok_or(Error::Member("recorded_at"))?,
        event_id: line.event_id,
        partition_key: line.partition_key,
        retention: retention(&line.retention).ok_or(Error::Member("retention"))?,
        partition: (line.partition < PARTITION_COUNT).then_some(line.partition).ok_or(Error::Member("partition"))?,
        aggregate_type: line.aggregate_type,
        aggregate_id: line.aggregate_id,
        event_type: line.event_type,
        event_version: line.event_version,
        payload,
        metadata,
        payload_hash: line.payload_hash,
    })
}

impl Line<'_> {
    /// As it is stored: from its members, which stand in the line as they stand there.
    fn metadata(&self) -> String {
        if let Some(stored) = &self.stored_metadata {
            return stored.clone();
        }
        let tokens = [
            self.actor_id,
            self.actor_kind,
            self.causation_id,
            self.correlation_id,
            self.device_at,
            self.occurred_at,
            self.occurred_source,
            self.actor_reason,
            self.received_at,
            self.tenant_id,
            self.trace_id,
        ];
        let mut metadata = String::with_capacity(256);
        metadata.push('{');
        for ((name, _), token) in METADATA.iter().zip(tokens) {
            if let Some(token) = token {
                if metadata.len() > 1 {
                    metadata.push(',');
                }
                metadata.push('"');
                metadata.push_str(name);
                metadata.push_str("\":");
                metadata.push_str(token.get());
            }
        }
        metadata.push('}');
        metadata
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// A class by its name, or the number of one that the writer knew not.
fn retention(text: &str) -> Option<i16> {
    let known = Retention::ALL.into_iter().find(|class| class.as_str() == text).map(Retention::code);
    known.or_else(|| text.parse().ok())
}
