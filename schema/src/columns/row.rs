//! An event as a row of its table.

use chrono::{DateTime, NaiveDate, Utc};
use domain::envelope::{ReportTimes, Retention};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Column, ColumnType, EventTable};
use crate::catalogue::DecodeError;
use crate::metadata;
use crate::stored::StoredEvent;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    /// Also of sealed values, and JSON as text.
    Text(String),
    Uuid(Uuid),
    Timestamp(DateTime<Utc>),
    Date(NaiveDate),
    Decimal(Decimal),
    Integer(i64),
    Double(f64),
    Boolean(bool),
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
    #[error("the catalogue has no table of this event")]
    NoTable,
}

/// The members of an event in its newest version, and its table.
///
/// # Errors
/// When it can't be understood, its envelope included.
pub fn newest(stored: &StoredEvent) -> Result<(&'static EventTable, Value), Error> {
    stored.envelope()?;
    let event = stored.event()?;
    let table = super::table(event.event_type()).ok_or(Error::NoTable)?;
    let mut payload: Value = serde_json::from_str(&event.to_json()).map_err(|source| DecodeError::Malformed {
        event_type: stored.event_type.clone(),
        event_version: stored.event_version.clone(),
        source,
    })?;
    Ok((table, payload[table.event_type].take()))
}

/// The cells of [`super::ENVELOPE`], in its order. Without metadata that can be read, those from there are null.
pub fn envelope(stored: &StoredEvent) -> Vec<Cell> {
    let envelope = stored.envelope().ok();
    let of = envelope.as_ref();
    let times = of.and_then(|envelope| envelope.times.as_ref());
    let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
    let id = |id: Option<Uuid>| id.map_or(Cell::Null, Cell::Uuid);
    let time = |time: Option<DateTime<Utc>>| time.map_or(Cell::Null, Cell::Timestamp);
    vec![
        Cell::Integer(stored.position.0),
        Cell::Timestamp(stored.recorded_at),
        Cell::Integer(stored.generation.0),
        Cell::Uuid(stored.event_id),
        Cell::Text(stored.event_type.clone()),
        Cell::Text(stored.event_version.clone()),
        Cell::Uuid(stored.payload_hash),
        Cell::Text(stored.aggregate_type.clone()),
        Cell::Uuid(stored.aggregate_id),
        Cell::Integer(stored.sequence),
        id(of.map(|envelope| envelope.tenant_id.0)),
        Cell::Uuid(stored.partition_key),
        Cell::Integer(stored.partition.into()),
        Cell::Text(retention(stored.retention)),
        text(of.map(|envelope| envelope.actor.kind.as_str().to_owned())),
        text(of.map(|envelope| envelope.actor.id.clone())),
        text(of.and_then(|envelope| envelope.reason.clone())),
        id(of.and_then(|envelope| envelope.causation_id)),
        id(of.and_then(|envelope| envelope.correlation_id)),
        text(of.and_then(|envelope| envelope.trace_id.clone())),
        time(times.map(|times| times.received_at)),
        time(times.and_then(|times| times.occurred_at)),
        text(times.map(|times: &ReportTimes| times.source.as_str().to_owned())),
        text(times.and_then(|times| times.device_at.clone())),
    ]
}

/// The number stands for a class that this program does not know.
fn retention(code: i16) -> String {
    Retention::from_code(code).map_or_else(|| code.to_string(), |class| class.as_str().to_owned())
}

/// The cells of a table's own columns, and the members that do not fit into them.
pub fn cells(table: &EventTable, members: &Value) -> (Vec<Cell>, Option<Value>) {
    let mut rest = Map::new();
    let cells = table.columns.iter().map(|column| {
        let value = column.path.iter().try_fold(members, |value, name| value.get(name)).unwrap_or(&Value::Null);
        cell(column, value).unwrap_or_else(|| {
            rest.insert(column.name.clone(), value.clone());
            Cell::Null
        })
    });
    let cells = cells.collect();
    (cells, (!rest.is_empty()).then_some(Value::Object(rest)))
}

/// None where the column's type can't hold the value.
fn cell(column: &Column, value: &Value) -> Option<Cell> {
    if value.is_null() {
        return Some(Cell::Null);
    }
    Some(match column.column_type {
        ColumnType::Text | ColumnType::Sealed => Cell::Text(value.as_str()?.to_owned()),
        ColumnType::Uuid => Cell::Uuid(Uuid::parse_str(value.as_str()?).ok()?),
        ColumnType::Timestamp => Cell::Timestamp(value.as_str()?.parse().ok()?),
        ColumnType::Date => Cell::Date(value.as_str()?.parse().ok()?),
        ColumnType::Decimal => Cell::Decimal(value.as_str()?.parse().ok()?),
        ColumnType::Integer => Cell::Integer(value.as_i64()?),
        ColumnType::Double => Cell::Double(value.as_f64()?),
        ColumnType::Boolean => Cell::Boolean(value.as_bool()?),
        ColumnType::Json => Cell::Text(value.to_string()),
    })
}

impl Cell {
    /// As a member of a JSON object.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Uuid(id) => id.to_string().into(),
            Self::Timestamp(at) => at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into(),
            Self::Date(date) => date.to_string().into(),
            Self::Decimal(number) => number.to_string().into(),
            Self::Integer(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Boolean(is) => (*is).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::envelope::{Actor, Envelope};
    use domain::id::TenantId;

    use super::super::{ENVELOPE, tables};
    use super::*;
    use crate::golden::GOLDEN;
    use crate::log::{Generation, Position};

    fn stored(golden: &crate::golden::Golden) -> StoredEvent {
        StoredEvent {
            position: Position(7),
            sequence: 1,
            generation: Generation(1),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("in range"),
            event_id: Uuid::from_u128(1),
            partition_key: Uuid::from_u128(2),
            retention: Retention::Ledger.code(),
            partition: 3,
            aggregate_type: golden.aggregate.to_owned(),
            aggregate_id: Uuid::from_u128(4),
            event_type: golden.event_type.to_owned(),
            event_version: golden.version.to_owned(),
            payload: golden.payload.to_owned(),
            payload_hash: Uuid::from_u128(5),
            metadata: metadata::to_json(&Envelope::new(TenantId::DEFAULT, Actor::system("test"))),
        }
    }

    /// Every version that was ever stored: whole, in the columns of its newest.
    #[test]
    fn every_golden_event_fills_its_columns() {
        for golden in GOLDEN {
            let stored = stored(golden);
            let (table, members) = newest(&stored).unwrap_or_else(|error| panic!("{}: {error}", golden.event_type));
            let (cells, rest) = cells(table, &members);
            assert_eq!(rest, None, "{}", golden.event_type);
            assert_eq!(cells.len(), table.columns.len());
            if (table.event_type, table.event_version) == (golden.event_type, golden.version) {
                assert!(!cells.contains(&Cell::Null), "{}: {cells:?}", golden.event_type);
            }
            assert_eq!(envelope(&stored).len(), ENVELOPE.len());
        }
        assert!(tables().len() <= GOLDEN.len());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let table = super::super::table("Departed").expect("it is in the catalogue");
        let (cells, rest) = cells(table, &serde_json::json!({"at": "yesterday"}));
        assert_eq!((cells, rest), (vec![Cell::Null], Some(serde_json::json!({"at": "yesterday"}))));
    }
}
