//! What a person is told of themself, and what is told of an erasure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::query::{Command, Driver, Session, Timestamp, Token};

/// A person was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    pub driver_id: String,
    /// From here on the log and the read models know of it.
    pub position: i64,
    /// How many tokens were theirs: they are blocked, and their values can't be read any more.
    pub tokens: usize,
    /// Copies that no key can take back: whoever made them has to delete them.
    pub exports_in_clear: Vec<ExportInClear>,
}

/// Values of the person were shown or written in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportInClear {
    pub disclosure_id: String,
    /// Who did it, such as `operator:<account>`.
    pub by: String,
    pub reason: Option<String>,
    /// By which command, such as `events export`.
    pub through: String,
    /// Where they were written to; null: to a terminal or a pipe.
    pub destination: Option<String>,
    pub recorded_at: Timestamp,
    pub position: i64,
}

/// All that is held on a driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PersonExport {
    pub driver_id: String,
    /// Null when they were erased.
    pub account: Option<ExportedAccount>,
    pub driver: Driver,
    /// With their values in the clear.
    pub tokens: Vec<Token>,
    pub sessions: Vec<Session>,
    pub commands: Vec<Command>,
    /// The histories of the driver, their tokens and their sessions, in the order of positions.
    pub events: Vec<ExportedEvent>,
    pub exports_in_clear: Vec<ExportInClear>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedAccount {
    pub email: String,
    pub name: String,
    pub phone: Option<String>,
    pub created_at: Timestamp,
    /// Where they are logged in.
    pub devices: Vec<ExportedDevice>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedDevice {
    /// As the client called it.
    pub device_id: Option<String>,
    pub last_seen_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExportedEvent {
    pub position: i64,
    pub recorded_at: Timestamp,
    pub aggregate: String,
    pub stream: String,
    pub event_type: String,
    /// With sealed values opened; null in the place of erased ones.
    #[schema(value_type = Object)]
    pub payload: Value,
}
