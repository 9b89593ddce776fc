//! What could not be taken in, in one table: events that a read model has parked, and records of Kafka that a consumer could
//! not decode (migration 0590).
//!
//! Rows of parked events are written by the database as keys are parked and released; those of records by [`Keeper`]. Every
//! change of either is copied to a topic ([`copy`]).

mod again;
mod copy;
mod keep;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use schema::log::Position;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgExecutor, PgRow};
use uuid::Uuid;

use crate::EventStore;
use crate::database::Database;
use crate::kafka::DeadLetters;

pub use again::{Again, try_again};
pub(crate) use copy::copy;
pub use keep::Keeper;

/// For how long a row stays when it is settled.
const KEPT_DAYS: i32 = 90;
/// Rows that one statement removes.
const EXPIRED_MAX: i64 = 5_000;

/// What it is that could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An event, by a read model.
    ReadModel,
    /// A record, by a consumer.
    Kafka,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Waiting,
    /// The parked event was applied.
    Released,
    /// It was left out for good.
    Skipped,
    /// The record's event is the log's, as it can be seen now.
    Replayed,
    /// The build that had parked it is no more.
    Dropped,
}

impl Source {
    pub const ALL: [Self; 2] = [Self::ReadModel, Self::Kafka];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadModel => "read-model",
            Self::Kafka => "kafka",
        }
    }
}

impl State {
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Released, Self::Skipped, Self::Replayed, Self::Dropped];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Released => "released",
            Self::Skipped => "skipped",
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

/// A row. As JSON it is what stands in the topic of dead letters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    pub id: i64,
    pub source: Source,
    pub state: State,
    pub first_seen: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<Utc>>,
    /// None: an event that only waits behind the first of its key.
    pub error: Option<String>,
    /// Of the event in the log; of a record, as its headers say.
    pub position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(flatten)]
    pub of: Of,
}

/// Where it was to go.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Of {
    Build {
        model: String,
        /// The build's number.
        build: i32,
        partition_key: Uuid,
    },
    Record(Box<Record>),
}

/// A record as it stands in Kafka.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Each with its `name`, and `value` or, where that is no text, `value_base64`.
    pub headers: Value,
    #[serde(rename = "key_base64", serialize_with = "base64")]
    pub key: Option<Vec<u8>>,
    /// Of a long one, the beginning.
    #[serde(rename = "value_base64", serialize_with = "base64")]
    pub value: Option<Vec<u8>>,
    /// How long the value is in Kafka.
    pub value_bytes: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn base64<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
}

/// Which ones; the default is all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'a> {
    pub source: Option<Source>,
    pub state: Option<State>,
    pub model: Option<&'a str>,
    /// Only those with a higher id.
    pub after: i64,
}

/// In the order in which they were first seen, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub async fn list(pool: impl PgExecutor<'_>, which: Which<'_>, limit: i64) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let Which { source, state, model, after } = which;
    let statement = sqlx::query(include_str!("dead_letters/list.sql")).bind(after);
    let statement = statement.bind(source.map(Source::as_str)).bind(state.map(State::as_str)).bind(model).bind(limit);
    statement.persistent(false).fetch_all(pool).await?.iter().map(row).collect()
}

/// # Errors
/// When the database can't be read.
pub async fn get(pool: impl PgExecutor<'_>, id: i64) -> Result<Option<DeadLetter>, sqlx::Error> {
    let statement = sqlx::query("SELECT * FROM dead_letters WHERE dead_letter_id = $1").bind(id).persistent(false);
    statement.fetch_optional(pool).await?.as_ref().map(row).transpose()
}

/// How many wait of each source, counted up to 100,000.
///
/// # Errors
/// When the database can't be read.
pub async fn count(pool: impl PgExecutor<'_>) -> Result<Vec<(Source, i64)>, sqlx::Error> {
    let rows = sqlx::query(include_str!("dead_letters/count.sql")).persistent(false).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((source(row.try_get(0)?)?, row.try_get(1)?))).collect()
}

/// Who settles a record, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub name: &'a str,
    pub reason: Option<&'a str>,
}

/// A record waits no more. False: it did not wait, or is none; parked events are settled by the log.
///
/// # Errors
/// When the database can't be written.
pub async fn settle(pool: impl PgExecutor<'_>, id: i64, state: State, by: By<'_>) -> Result<bool, sqlx::Error> {
    let statement = sqlx::query(include_str!("dead_letters/settle.sql")).bind(id).bind(state.as_str());
    let done = statement.bind(by.name).bind(by.reason).persistent(false).execute(pool).await?;
    Ok(done.rows_affected() == 1)
}

impl EventStore {
    /// Who keeps the records that consumers of this process can't decode: the table, where the options name nobody else.
    pub(crate) fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        let given = self.options().dead_letters.clone();
        given.unwrap_or_else(|| Arc::new(Keeper::new(self.database().clone())))
    }
}

/// Removes what was settled long ago.
pub(crate) async fn expire(database: &Database) -> Result<(), sqlx::Error> {
    let expire = || sqlx::query(include_str!("dead_letters/expire.sql")).bind(EXPIRED_MAX).bind(KEPT_DAYS);
    while database.execute(expire()).await? == EXPIRED_MAX as u64 {}
    Ok(())
}

fn row(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    let source = source(row.try_get("source")?)?;
    let of = match source {
        Source::ReadModel => Of::Build {
            model: row.try_get("model")?,
            build: row.try_get("build")?,
            partition_key: row.try_get("partition_key")?,
        },
        Source::Kafka => Of::Record(Box::new(Record {
            topic: row.try_get("topic")?,
            partition: row.try_get("kafka_partition")?,
            offset: row.try_get("kafka_offset")?,
            headers: row.try_get::<Option<Value>, _>("headers")?.unwrap_or_default(),
            key: row.try_get("record_key")?,
            value: row.try_get("record_value")?,
            value_bytes: row.try_get("value_bytes")?,
            settled_by: row.try_get("settled_by")?,
            reason: row.try_get("reason")?,
        })),
    };
    let state: &str = row.try_get("state")?;
    Ok(DeadLetter {
        id: row.try_get("dead_letter_id")?,
        source,
        state: one_of(State::ALL, State::as_str, state)?,
        first_seen: row.try_get("first_seen")?,
        settled_at: row.try_get("settled_at")?,
        error: row.try_get("error")?,
        position: row.try_get::<Option<i64>, _>("position")?.map(Position),
        event_type: row.try_get("event_type")?,
        of,
    })
}

fn source(word: &str) -> Result<Source, sqlx::Error> {
    one_of(Source::ALL, Source::as_str, word)
}

fn one_of<T: Copy, const N: usize>(all: [T; N], name: fn(T) -> &'static str, word: &str) -> Result<T, sqlx::Error> {
    let found = all.into_iter().find(|one| name(*one) == word);
    found.ok_or_else(|| sqlx::Error::Decode(format!("there is no dead letter that is {word}").into()))
}
