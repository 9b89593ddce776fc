//! An event as a record of a Kafka topic, and the watermarks between them.
//!
//! The value is the line of JSON that exports have too, made of what is stored: no upcaster stands between, so that a reader
//! gets the stored text back to the byte. The headers say what a consumer needs to know before it reads the value.
//!
//! **The consumer's rule**: of each partition, drop a record or watermark that is not above the last one taken, by generation and
//! then by position. Then nothing comes twice; and where `prev` is above the last one taken, what lies between is in the log.

mod read;
mod write;

use uuid::Uuid;

use crate::log::{Generation, Position};

pub use read::{decode, head};
pub use write::{Encoder, watermark_headers};

/// Names of headers. All of them are text.
pub mod header {
    pub const POSITION: &str = "position";
    /// The position of the record before it in this partition of this topic; 0: there is none.
    pub const PREV: &str = "prev";
    pub const GENERATION: &str = "generation";
    pub const TYPE: &str = "type";
    pub const VERSION: &str = "version";
    pub const EVENT_ID: &str = "event_id";
    /// The W3C trace id, where there is one.
    pub const TRACE: &str = "trace";
    /// Which log it is of: the id of its first event. Older programs wrote none.
    pub const LOG: &str = "log";
    /// Of a watermark: its position. Key and value are null.
    pub const WATERMARK: &str = "watermark";
}

/// What a record says before its value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    Event {
        position: Position,
        /// Of the record before it in this partition of this topic; 0: there is none.
        prev: Position,
        generation: Generation,
        log: Option<Uuid>,
    },
    /// Everything of this partition of this topic up to here stands before it.
    Watermark { upto: Position, generation: Generation, log: Option<Uuid> },
}

impl Head {
    /// What the consumer's rule compares.
    pub fn position(&self) -> Position {
        match *self {
            Self::Event { position, .. } => position,
            Self::Watermark { upto, .. } => upto,
        }
    }

    pub fn generation(&self) -> Generation {
        match *self {
            Self::Event { generation, .. } | Self::Watermark { generation, .. } => generation,
        }
    }

    /// Which log it is of, by the id of its first event; none: it does not say.
    pub fn log(&self) -> Option<Uuid> {
        match *self {
            Self::Event { log, .. } | Self::Watermark { log, .. } => log,
        }
    }
}

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it has no header {0}")]
    NoHeader(&'static str),
    #[error("its header {name} is {text:?}, and not a number from 0 on")]
    Header { name: &'static str, text: String },
    #[error("its header log is {0:?}, and not a UUID")]
    Log(String),
    #[error("its value is not the line of an event")]
    Value(#[from] serde_json::Error),
    #[error("its value has a {0} that can't be read")]
    Member(&'static str),
    #[error("its headers are of position {head}, its value of {value}")]
    OtherPosition { head: Position, value: Position },
}

/// The members of metadata in the order in which they are stored, with their names in a line.
const METADATA: [(&str, &str); 11] = [
    ("actor_id", "actor_id"),
    ("actor_kind", "actor_kind"),
    ("causation_id", "causation_id"),
    ("correlation_id", "correlation_id"),
    ("device_at", "device_at"),
    ("occurred_at", "occurred_at"),
    ("occurred_source", "occurred_source"),
    ("reason", "actor_reason"),
    ("received_at", "received_at"),
    ("tenant_id", "tenant_id"),
    ("trace_id", "trace_id"),
];
const TRACE: usize = 10;

/// The value as it was stored, where the line's own members do not say it to the byte.
const STORED_PAYLOAD: &str = "stored_payload";
const STORED_METADATA: &str = "stored_metadata";

#[cfg(test)]
mod tests;
