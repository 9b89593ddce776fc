use std::time::Duration;

use chrono::{DateTime, Utc};
use schema::log::Position;

/// Why it can't be said what was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the log ends at {head}")]
    AboveHead { head: Position },
    #[error("{time} has not come yet")]
    NotYet { time: DateTime<Utc> },
    /// Events or rows that it would take are gone, or were never kept.
    #[error("nothing is kept of before {earliest}")]
    NotKept { earliest: Position },
    /// The read models are so far behind that it would be too much to fold.
    #[error("the read models are at {reached} only")]
    Behind { reached: Position },
    /// As many look back as may at once.
    #[error("too many look back at once")]
    Busy { retry_after: Duration },
    #[error("the read models can't be read")]
    Views(#[from] std::sync::Arc<schema::view::Error>),
    #[error("the log can't be read")]
    Log(#[from] std::sync::Arc<event_store::read::Error>),
}

impl From<schema::view::Error> for Error {
    fn from(error: schema::view::Error) -> Self {
        Self::Views(std::sync::Arc::new(error))
    }
}

impl From<event_store::read::Error> for Error {
    fn from(error: event_store::read::Error) -> Self {
        Self::Log(std::sync::Arc::new(error))
    }
}
