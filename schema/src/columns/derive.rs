//! What a member of an event may hold, found by putting other values in its place.

use domain::event::AggregateType;
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Column, ColumnType, ENVELOPE, EventTable, snake_case};
use crate::catalogue;
use crate::golden;
use crate::log::RawEvent;

/// A text that is no id, no time, no number and no word of ours.
const ANY_TEXT: &str = "§ any text §";
/// A member that no event has.
const ANY_MEMBER: &str = "any_member";
/// Members within members that get columns of their own. What lies deeper is JSON.
const DEPTH_MAX: usize = 3;

pub fn table(aggregate: AggregateType, event_type: &'static str, event_version: &'static str) -> EventTable {
    let sample = golden::find(event_type, event_version);
    // Where a golden file is missing, a test says so.
    let payload = sample.and_then(|golden| serde_json::from_str::<Value>(golden.payload).ok()).unwrap_or_default();
    let probe = Probe { aggregate, event_type, event_version, payload: payload.clone() };
    let mut columns = vec![];
    probe.members(&mut vec![], &payload[event_type], &mut columns);
    for column in &mut columns {
        if ENVELOPE.iter().any(|envelope| envelope.name == column.name) {
            column.name.insert_str(0, "payload_");
        }
    }
    EventTable { name: snake_case(event_type), aggregate, event_type, event_version, columns }
}

struct Probe {
    aggregate: AggregateType,
    event_type: &'static str,
    event_version: &'static str,
    /// That of the golden file.
    payload: Value,
}

impl Probe {
    /// A column for each member of an object.
    fn members(&self, path: &mut Vec<String>, object: &Value, columns: &mut Vec<Column>) {
        for (name, value) in object.as_object().into_iter().flatten() {
            path.push(name.clone());
            match value {
                Value::Object(_) if path.len() < DEPTH_MAX && self.has_fixed_members(path, value) => {
                    self.members(path, value, columns);
                }
                _ => {
                    let column_type = self.column_type(path, value);
                    columns.push(Column { name: path.join("_"), path: path.clone(), column_type });
                }
            }
            path.pop();
        }
    }

    fn column_type(&self, path: &[String], value: &Value) -> ColumnType {
        match value {
            Value::String(text) if is_sealed(text) => ColumnType::Sealed,
            Value::String(_) if self.takes(path, ANY_TEXT.into()) => ColumnType::Text,
            Value::String(text) => of_text(text),
            Value::Number(_) if self.takes(path, 0.5.into()) => ColumnType::Double,
            Value::Number(_) => ColumnType::Integer,
            Value::Bool(_) => ColumnType::Boolean,
            Value::Null | Value::Array(_) | Value::Object(_) => ColumnType::Json,
        }
    }

    /// Whether it is an object of known members, and neither a map nor one of several alternatives.
    fn has_fixed_members(&self, path: &[String], object: &Value) -> bool {
        let mut members: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
        members.insert(ANY_MEMBER.to_owned(), Value::Bool(true));
        let again = self.read_with(path, members.into());
        again.is_some_and(|again| at(&again[self.event_type], path).is_some_and(|kept| kept.get(ANY_MEMBER).is_none()))
    }

    fn takes(&self, path: &[String], value: Value) -> bool {
        self.read_with(path, value).is_some()
    }

    /// The event with another value in one place, as it is written again; none where it can't be read.
    fn read_with(&self, path: &[String], value: Value) -> Option<Value> {
        let mut payload = self.payload.clone();
        let mut place = payload.get_mut(self.event_type)?;
        for name in path {
            place = place.get_mut(name)?;
        }
        *place = value;
        let raw = RawEvent {
            aggregate_type: self.aggregate.as_str(),
            event_type: self.event_type,
            event_version: self.event_version,
            payload: &payload.to_string(),
        };
        let event = catalogue::decode(&raw).ok()?;
        serde_json::from_str(&event.to_json()).ok()
    }
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Of a text in whose place not every other one may stand.
fn of_text(text: &str) -> ColumnType {
    if Uuid::parse_str(text).is_ok() {
        ColumnType::Uuid
    } else if text.parse::<chrono::DateTime<chrono::Utc>>().is_ok() {
        ColumnType::Timestamp
    } else if text.parse::<chrono::NaiveDate>().is_ok() {
        ColumnType::Date
    } else if text.parse::<Decimal>().is_ok() {
        ColumnType::Decimal
    } else {
        // One of a set of words, or a text of a certain form.
        ColumnType::Text
    }
}

/// `v1.<key id>.<nonce and ciphertext>`: golden files have nothing else of this form.
fn is_sealed(text: &str) -> bool {
    let key_id = text.strip_prefix("v1.").and_then(|rest| rest.split_once('.'));
    key_id.is_some_and(|(key_id, _)| Uuid::parse_str(key_id).is_ok())
}
