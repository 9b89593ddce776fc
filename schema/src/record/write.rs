//! From an event to its record.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};
use domain::envelope::Retention;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{METADATA, STORED_METADATA, STORED_PAYLOAD, TRACE, header};
use crate::log::{Generation, Position};
use crate::metadata;
use crate::stored::StoredRef;

/// Makes records. It keeps the memory of the last one: a relay has one for all of them.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Which log the records are of, where that is to be said.
    log: Option<Uuid>,
    key: String,
    value: String,
    number: String,
}

/// A record's key and value.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

/// The text of each member of metadata, as it stands there with its quotes.
type Tokens<'a> = [Option<&'a str>; METADATA.len()];

impl Encoder {
    /// Of records that say which log they are of, by the id of its first event.
    pub fn of_log(log: Uuid) -> Self {
        Self { log: Some(log), ..Self::default() }
    }

    /// Key and value of an event. `put` gets each header.
    pub fn encode(
        &mut self,
        event: &StoredRef<'_>,
        prev: Position,
        mut put: impl FnMut(&'static str, &str),
    ) -> Encoded<'_> {
        self.number(event.position.0, |text| put(header::POSITION, text));
        self.number(prev.0, |text| put(header::PREV, text));
        self.number(event.generation.0, |text| put(header::GENERATION, text));
        put(header::TYPE, event.event_type);
        put(header::VERSION, event.event_version);
        put(header::EVENT_ID, event.event_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        if let Some(log) = self.log {
            put(header::LOG, log.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        }
        let tokens = tokens(event.metadata);
        let trace = tokens.and_then(|tokens| tokens[TRACE]).map(|token| token.trim_matches('"'));
        if let Some(trace) = trace.filter(|trace| !trace.contains('\\')) {
            put(header::TRACE, trace);
        }
        self.key.clear();
        self.key.push_str(event.partition_key.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        self.value.clear();
        self.value.reserve(event.payload.len() + event.metadata.len() + 640);
        line(&mut self.value, event, tokens.as_ref());
        Encoded { key: &self.key, value: &self.value }
    }

    fn number(&mut self, number: i64, put: impl FnOnce(&str)) {
        self.number.clear();
        let _ = write!(self.number, "{number}");
        put(&self.number);
    }
}

/// The headers of a watermark; it has no key and no value.
pub fn watermark_headers(upto: Position, generation: Generation, log: Uuid) -> [(&'static str, String); 3] {
    [
        (header::WATERMARK, upto.to_string()),
        (header::GENERATION, generation.0.to_string()),
        (header::LOG, log.hyphenated().to_string()),
    ]
}

fn line(line: &mut String, event: &StoredRef<'_>, tokens: Option<&Tokens<'_>>) {
    // Nothing is written but into memory.
    let _ = write!(line, r#"{{"position":{},"recorded_at":""#, event.position);
    time(line, event.recorded_at);
    let _ = write!(line, r#"","generation":{},"#, event.generation.0);
    id(line, "event_id", event.event_id);
    text(line, "event_type", event.event_type);
    text(line, "event_version", event.event_version);
    id(line, "payload_hash", event.payload_hash);
    text(line, "aggregate_type", event.aggregate_type);
    id(line, "aggregate_id", event.aggregate_id);
    let _ = write!(line, r#""sequence":{},"#, event.sequence);
    id(line, "partition_key", event.partition_key);
    let _ = write!(line, r#""partition":{},"#, event.partition);
    match Retention::from_code(event.retention) {
        Some(class) => text(line, "retention", class.as_str()),
        None => text(line, "retention", &event.retention.to_string()),
    }
    match tokens {
        Some(tokens) => envelope(line, tokens),
        None => {
            // As much of it as can be read, and all of it as text.
            let read = metadata::from_json(event.metadata).map(|envelope| metadata::to_json(&envelope));
            if let Some(tokens) = read.as_deref().ok().and_then(self::tokens) {
                envelope(line, &tokens);
            }
            text(line, STORED_METADATA, event.metadata);
        }
    }
    match members(event) {
        Some(members) => {
            line.push_str(r#""payload":"#);
            line.push_str(members);
        }
        None => {
            text(line, STORED_PAYLOAD, event.payload);
            let value: serde_json::Value = serde_json::from_str(event.payload).unwrap_or_default();
            let _ = write!(line, r#""payload":{value}"#);
        }
    }
    line.push('}');
}

fn envelope(line: &mut String, tokens: &Tokens<'_>) {
    for ((_, name), token) in METADATA.iter().zip(tokens) {
        if let Some(token) = token {
            line.push('"');
            line.push_str(name);
            line.push_str("\":");
            line.push_str(token);
            line.push(',');
        }
    }
}

/// The event's own members as they stand in the stored text, where that is `{"<type>":<members>}` on one line.
fn members<'a>(event: &StoredRef<'a>) -> Option<&'a str> {
    let inner = event.payload.strip_prefix("{\"")?.strip_prefix(event.event_type)?;
    let inner = inner.strip_prefix("\":")?.strip_suffix('}')?;
    // One value and no more; and no line's end, which stored text may have between values.
    let value: &RawValue = serde_json::from_str(inner).ok()?;
    (value.get().len() == inner.len() && !inner.contains(['\n', '\r'])).then_some(inner)
}

/// None: it is not as [`metadata::to_json`] writes it, to the byte.
fn tokens(metadata: &str) -> Option<Tokens<'_>> {
    let mut rest = metadata.strip_prefix('{')?.strip_suffix('}')?;
    let mut found = Tokens::default();
    let mut next = 0;
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('"')?.split_once("\":")?;
        let index = next + METADATA[next..].iter().position(|(stored, _)| *stored == name)?;
        let (token, after) = after.split_at(string_end(after)?);
        found[index] = Some(token);
        next = index + 1;
        rest = match after.strip_prefix(',') {
            Some("") => return None,
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(found)
}

/// How long the JSON string is with which a text begins.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let mut bytes = text.bytes().enumerate();
    if bytes.next()?.1 != b'"' {
        return None;
    }
    for (index, byte) in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            ..b' ' => return None,
            _ => {}
        }
    }
    None
}

fn id(line: &mut String, name: &str, id: Uuid) {
    line.push('"');
    line.push_str(name);
    line.push_str("\":\"");
    line.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    line.push_str("\",");
}

fn text(line: &mut String, name: &str, text: &str) {
    line.push('"');
    line.push_str(name);
    line.push_str("\":");
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        line.push_str(&serde_json::Value::from(text).to_string());
    }
    line.push(',');
}

/// To the microsecond, in UTC, as all times of a line.
fn time(line: &mut String, at: DateTime<Utc>) {
    if (0..=9999).contains(&at.year()) {
        let (date, time) = (at.date_naive(), at.time());
        let micros = at.timestamp_subsec_micros() % 1_000_000;
        let _ = write!(
            line,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}Z",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
    } else {
        line.push_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
    }
}
