//! What an export says of itself: a plan for all of it, and a manifest for each range, which names the one before it by its
//! hash.

use chrono::{DateTime, Utc};
use event_store::stored::Filter;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Format;

/// What must be the same for all of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub format: Format,
    pub range_positions: i64,
    /// Events after this position are exported.
    pub after_position: i64,
    pub filter: Filtered,
    pub personal_data: PersonalData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalData {
    Sealed,
    Clear,
}

impl From<bool> for PersonalData {
    fn from(opened: bool) -> Self {
        if opened { Self::Clear } else { Self::Sealed }
    }
}

/// Which events. What is empty or null leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    pub aggregates: Vec<String>,
    pub event_types: Vec<String>,
    pub stream: Option<Uuid>,
    pub partition_key: Option<Uuid>,
}

impl Filtered {
    pub fn of(filter: &Filter) -> Self {
        let mut aggregates: Vec<_> = filter.aggregates.iter().map(|kind| kind.as_str().to_owned()).collect();
        let mut event_types = filter.event_types.clone();
        aggregates.sort();
        event_types.sort();
        Self { aggregates, event_types, stream: filter.stream, partition_key: filter.partition_key }
    }
}

/// A range that is exported: whole, as of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub first_position: i64,
    pub last_position: i64,
    /// Of the log.
    pub generation: i64,
    /// The migration that the database was at.
    pub schema_version: i64,
    pub program_version: String,
    pub exported_at: DateTime<Utc>,
    /// That were wanted, and are in the files.
    pub events: u64,
    /// Of them, those that this program could not understand: they are in the files as they are stored.
    pub undecodable: u64,
    /// Of the first and the last event.
    pub recorded_from: Option<DateTime<Utc>>,
    pub recorded_to: Option<DateTime<Utc>>,
    pub files: Vec<FileEntry>,
    /// SHA-256 of the manifest of the range before it.
    pub previous_manifest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the export's folder.
    pub path: String,
    /// The event type's table; none where all types are in one file.
    pub table: Option<String>,
    /// Of `recorded_at`, UTC.
    pub day: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
