//! An undecodable record, tried again: by this program's code, and beside the log.

use schema::digest::payload_hash;
use schema::log::{Position, RecordedEvent};
use schema::record;
use schema::stored::StoredEvent;
use serde_json::Value;

use super::Record;
use crate::EventStore;
use crate::read::Error;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// It can be decoded now, and is the log's event at this position.
    Decoded(Position),
    /// It still can't be, or not all of it is here; but its headers name the log's event at this position, which consumers have
    /// read in its place.
    InLog(Position),
    /// It is no event of this log, or can't be told to be one.
    Foreign(String),
}

/// Tries it again. Nothing is changed.
///
/// # Errors
/// When the log can't be read.
pub async fn try_again(store: &EventStore, record: &Record) -> Result<Again, Error> {
    let header = |name: &str| {
        let mut headers = record.headers.as_array().into_iter().flatten();
        let found = headers.rfind(|header| header["name"] == name);
        found.and_then(|header| header["value"].as_str())
    };
    let headers = record.headers.as_array().into_iter().flatten();
    let headers = headers.map(|header| (text(&header["name"]), header["value"].as_str().map(str::as_bytes)));
    let position = match record::head(headers) {
        Ok(head) => head.position(),
        Err(error) => return Ok(Again::Foreign(error.to_string())),
    };
    let events = store.read_at(&[position]).await?;
    let Some(event) = events.first() else {
        return Ok(Again::Foreign(format!("the log has no event at {position}")));
    };
    let decoded = record.value.as_deref().map(|value| record::decode(position, value));
    match decoded {
        Some(Ok(decoded)) if is_same(event, &decoded) => Ok(Again::Decoded(position)),
        Some(Ok(_)) => Ok(Again::Foreign(format!("the log has another event at {position}"))),
        Some(Err(_)) | None if header(record::header::EVENT_ID) == Some(event.event_id.to_string().as_str()) => {
            Ok(Again::InLog(position))
        }
        Some(Err(error)) => Ok(Again::Foreign(error.to_string())),
        None => Ok(Again::Foreign("it has no value".to_owned())),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_same(event: &RecordedEvent, decoded: &StoredEvent) -> bool {
    event.event_id == decoded.event_id
        && event.payload_hash == decoded.payload_hash
        && payload_hash(&decoded.payload) == decoded.payload_hash
}
