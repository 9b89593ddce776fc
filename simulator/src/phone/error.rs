use std::time::Duration;

use serde::Deserialize;

use crate::websocket;

/// A refusal (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub title: String,
    pub status: u16,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// Such as `no-active-plan`.
    pub fn code(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// For people: what happened, or what kind of thing it is.
    pub fn text(&self) -> &str {
        if self.detail.is_empty() { &self.title } else { &self.detail }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {}", .0.code(), .0.text())]
    Refused(Problem),
    /// The request may or may not have arrived.
    #[error("no answer over HTTP")]
    Http(#[from] reqwest::Error),
    #[error("no WebSocket")]
    Socket(#[from] websocket::Error),
    /// The connection was lost before the answer came.
    #[error("the connection was lost before the answer came")]
    Lost,
    #[error("an answer that is not as documented: {0}")]
    Unexpected(String),
    /// The task behind the handle has ended.
    #[error("the line is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may succeed when it is repeated, and after how long at least.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) if problem.status == 429 || problem.status >= 500 => {
                Some(Duration::from_secs(problem.retry_after_s.unwrap_or(1)))
            }
            Self::Http(_) | Self::Socket(_) | Self::Lost => Some(Duration::ZERO),
            Self::Refused(_) | Self::Unexpected(_) | Self::Closed => None,
        }
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(problem.code()),
            _ => None,
        }
    }
}
