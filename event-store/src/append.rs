//! What is appended, and what comes of it (docs/decisions/0003).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::id::Epoch;
use schema::log::{Generation, NewEvent, Position, StreamId};
use serde_json::Value;

/// The largest payload of one event. Kafka's default record limit is 1 MiB, and metadata and headers want room.
pub const PAYLOAD_BYTES_MAX: usize = 512 * 1024;

/// One append: its writes, guards and key are decided together. All of it happens, or nothing.
///
/// Without events but with a key it records a refusal, at the position that the log then has.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// No stream twice.
    pub writes: Vec<Write>,
    pub guards: Vec<Guard>,
    pub key: Option<CommandKey>,
}

/// Events for one stream.
#[derive(Debug, Clone)]
pub struct Write {
    pub stream: StreamId,
    pub expected: Expected,
    pub events: Vec<NewEvent>,
    /// Becomes the stream's fence, and must be above the present one.
    pub fence: Option<Epoch>,
}

/// What a write wants to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    New,
    Version(i64),
    Any,
}

impl Expected {
    /// What a writer expects who has read the stream up to `version`; 0 is before the first event.
    pub fn version(version: i64) -> Self {
        if version == 0 { Self::New } else { Self::Version(version) }
    }
}

/// What must be true of a stream that is not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    pub stream: StreamId,
    pub condition: GuardCondition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardCondition {
    /// The stream is at this version; 0: it doesn't exist.
    Version(i64),
    /// The stream's fence is this one.
    Fence(Epoch),
}

/// Makes an append idempotent: the first one under a key stands, the same one again gets its answer.
#[derive(Debug, Clone)]
pub struct CommandKey {
    /// Whose namespace: a user, a charger, a process manager.
    pub scope: String,
    pub key: String,
    /// SHA-256 of what was asked: another body under the same key is an error.
    pub body_hash: [u8; 32],
    /// Stored as given. The position is stored beside it.
    pub answer: Value,
    /// When the key may be used for something else; none: never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An append that was taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    Committed {
        /// Of its last event; without events, the head at that time.
        position: Position,
        generation: Generation,
        /// Of each written stream, after the write.
        versions: Vec<i64>,
        recorded_at: DateTime<Utc>,
    },
    /// The key was used before, for the same body: this is what was answered then.
    Replayed { answer: Value, position: Position },
}

impl Appended {
    pub fn position(&self) -> Position {
        match self {
            Self::Committed { position, .. } | Self::Replayed { position, .. } => *position,
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Somebody else was faster: reload and decide again.
    #[error("{stream} is at version {actual}, not {expected:?}")]
    Conflict { stream: StreamId, expected: Expected, actual: i64 },
    /// A newer owner holds the fence: stop, this is not yours any more.
    #[error("{stream} has another fence")]
    Fenced { stream: StreamId },
    /// The log has begun another generation since this was decided: reload and decide again.
    #[error("the log has begun another generation")]
    OtherGeneration,
    #[error("the key was used for another body")]
    KeyReused,
    #[error("an event of {bytes} bytes; at most {PAYLOAD_BYTES_MAX} are allowed")]
    TooLarge { bytes: usize },
    #[error("an append can't be: {0}")]
    Invalid(&'static str),
    /// Nothing was appended; it may be tried again.
    #[error("the log can't be reached")]
    Unavailable(#[source] std::sync::Arc<sqlx::Error>),
    /// The connection was lost while the commit was under way, and there is no telling what came of it. Only an append
    /// without a key and without an expected version ends so, or one whose answer could not be looked up in time.
    #[error("the log can't be reached, and the append may have been committed")]
    UnknownOutcome(#[source] std::sync::Arc<sqlx::Error>),
    #[error("the store is shut down")]
    Closed,
}

impl Error {
    /// Whether deciding again on the newest state may help.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::OtherGeneration)
    }
}

impl Append {
    /// The bytes that it moves, near enough for bounding queues.
    pub(crate) fn weight_bytes(&self) -> usize {
        const ROW_BYTES: usize = 200;
        let events = self.writes.iter().flat_map(|write| &write.events);
        events.map(|event| event.payload.len() + event.metadata.len() + ROW_BYTES).sum::<usize>() + ROW_BYTES
    }

    pub(crate) fn event_count(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            if !seen.insert(write.stream) {
                return Err(Error::Invalid("a stream is written to twice"));
            }
            if let Some(bytes) = write.events.iter().map(|event| event.payload.len()).find(|&n| n > PAYLOAD_BYTES_MAX) {
                return Err(Error::TooLarge { bytes });
            }
            if matches!(write.expected, Expected::Version(version) if version < 0) {
                return Err(Error::Invalid("a version is below 0"));
            }
            if write.fence.is_some_and(|epoch| epoch.0 <= 0) {
                return Err(Error::Invalid("a fence is not above 0"));
            }
        }
        let empty = self.writes.iter().all(|write| write.events.is_empty() && write.fence.is_none());
        if empty && self.key.is_none() {
            return Err(Error::Invalid("it has neither events nor a key"));
        }
        Ok(())
    }

    /// Whether it can be sent twice without being appended twice: a key decides, or a version or fence, since the
    /// second one finds what the first one made.
    pub(crate) fn is_repeatable(&self) -> bool {
        let once = |write: &Write| write.expected != Expected::Any || write.fence.is_some();
        self.key.is_some() || self.writes.iter().any(|write| once(write) && !write.events.is_empty())
    }
}
