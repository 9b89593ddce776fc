//! What an event takes and writes, member by member: the fingerprint of its version.
//!
//! It is found by trying, on the golden file: a member is left out, null is put in its place, or something that no event has;
//! what is refused, and with which words, tells what the type is.

use std::collections::BTreeMap;

use schema::catalogue::decode;
use schema::log::RawEvent;
use serde_json::Value;
use uuid::Uuid;

/// A text that is no id, no time, no number and no word of ours.
const ANY_TEXT: &str = "§ any text §";
/// Above every 32-bit number.
const LARGE: i64 = 1 << 40;

/// What each member is, by the path to it.
pub type Shape = BTreeMap<String, String>;

/// Reads a payload of the event, or says why it can't be.
pub type Read<'r> = &'r dyn Fn(&Value) -> Result<(), String>;

/// As readers of the log read it.
pub fn of_event(aggregate: &str, event_type: &str, event_version: &str, sample: &Value) -> Shape {
    of(sample, &|payload| {
        let raw = RawEvent { aggregate_type: aggregate, event_type, event_version, payload: &payload.to_string() };
        let because = |error: schema::catalogue::DecodeError| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        };
        decode(&raw).map(|_| ()).map_err(because)
    })
}

/// # Panics
/// When the sample itself can't be read.
pub fn of(sample: &Value, read: Read<'_>) -> Shape {
    read(sample).unwrap_or_else(|error| panic!("the sample can't be read: {error}: {sample}"));
    let mut shape = Shape::new();
    let probe = Probe { sample, read };
    for (name, value) in sample.as_object().into_iter().flatten() {
        probe.describe(&format!("/{}", escaped(name)), value, &mut shape);
    }
    shape
}

struct Probe<'p> {
    sample: &'p Value,
    read: Read<'p>,
}

impl Probe<'_> {
    /// With another value at a place, given as a JSON pointer.
    fn with(&self, place: &str, value: Value) -> Result<(), String> {
        let mut payload = self.sample.clone();
        *payload.pointer_mut(place).expect("the place is in the sample") = value;
        (self.read)(&payload)
    }

    fn without(&self, parent: &str, name: &str) -> Result<(), String> {
        let mut payload = self.sample.clone();
        payload.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name);
        (self.read)(&payload)
    }

    fn takes(&self, place: &str, value: impl Into<Value>) -> bool {
        self.with(place, value.into()).is_ok()
    }

    fn describe(&self, place: &str, value: &Value, shape: &mut Shape) {
        let mut told = self.type_of(place, value);
        if told != "anything" {
            if self.takes(place, Value::Null) {
                told.push_str(" or null");
            }
            self.descend(place, value, shape);
        }
        let (parent, name) = place.rsplit_once('/').expect("a pointer");
        let in_list = name.parse::<usize>().is_ok();
        if !in_list && !parent.is_empty() && self.without(parent, &name.replace("~1", "/").replace("~0", "~")).is_ok() {
            told.push_str(", may be absent");
        }
        shape.insert(path(place), told);
    }

    fn descend(&self, place: &str, value: &Value, shape: &mut Shape) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.describe(&format!("{place}/{}", escaped(name)), member, shape);
                }
            }
            // One stands for all.
            Value::Array(items) => {
                if let Some(item) = items.first() {
                    self.describe(&format!("{place}/0"), item, shape);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn type_of(&self, place: &str, value: &Value) -> String {
        if self.takes(place, ANY_TEXT) && self.takes(place, true) && self.takes(place, 0.5) {
            return "anything".to_owned();
        }
        match value {
            Value::String(text) => match self.with(place, ANY_TEXT.into()) {
                Ok(()) => "text".to_owned(),
                Err(error) => words(&error).unwrap_or_else(|| of_text(text).to_owned()),
            },
            Value::Number(_) if self.takes(place, 0.5) => "number".to_owned(),
            Value::Number(_) => match (self.takes(place, -1), self.takes(place, LARGE)) {
                (true, true) => "integer".to_owned(),
                (true, false) => "integer of 32 bits at most".to_owned(),
                (false, true) => "integer from 0".to_owned(),
                (false, false) => "integer from 0 of 32 bits at most".to_owned(),
            },
            Value::Bool(_) => "boolean".to_owned(),
            Value::Array(_) => "list".to_owned(),
            Value::Object(_) => {
                let other = self.with(place, serde_json::json!({ANY_TEXT: {}}));
                let alternatives = other.err().and_then(|error| words(&error));
                alternatives.map_or_else(|| "object".to_owned(), |words| format!("object of {words}"))
            }
            Value::Null => panic!("{place} of the sample says nothing: samples are filled"),
        }
    }
}

/// The words of an enum, from the error with which it refuses others.
fn words(error: &str) -> Option<String> {
    let after = error.split_once("unknown variant")?.1.split_once("expected ")?.1;
    let words: Vec<_> = after.split('`').skip(1).step_by(2).collect();
    Some(format!("one of: {}", words.join(", ")))
}

/// Of a text in whose place not every other one may stand.
fn of_text(text: &str) -> &'static str {
    if Uuid::parse_str(text).is_ok() {
        "UUID"
    } else if text.parse::<chrono::DateTime<chrono::Utc>>().is_ok() {
        "time"
    } else if text.parse::<chrono::NaiveDate>().is_ok() {
        "date"
    } else if text.parse::<rust_decimal::Decimal>().is_ok() {
        "decimal as text"
    } else {
        "text of a certain form"
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A pointer as people read it: without the event's name, `[]` for what stands in lists.
fn path(place: &str) -> String {
    let mut path = String::new();
    for name in place.split('/').skip(2) {
        match name.parse::<usize>() {
            Ok(_) => path.push_str("[]"),
            Err(_) if path.is_empty() => path.push_str(name),
            Err(_) => {
                path.push('.');
                path.push_str(name);
            }
        }
    }
    path
}
