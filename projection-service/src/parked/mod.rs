//! Keys that stand still because of an event that could not be applied: looked at, tried, released.

mod operate;
mod trial;

use chrono::{DateTime, Utc};
use event_store::EventStore;
use pool::Pool;
use schema::log::{Position, RecordedEvent};
use schema::view::Model;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

pub use operate::{Operator, release, skip};
pub use trial::{Trial, try_release};

/// Why it could not be looked at or changed; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database can't be used")]
    Database(#[from] sqlx::Error),
    #[error("the log can't be read")]
    Log(#[from] event_store::read::Error),
    #[error("the event could not be written into the log")]
    Append(#[from] event_store::session::Error),
    #[error("{0}")]
    Refused(#[from] domain::refusal::Refusal),
    #[error("{key} is not parked in {}: see `coulomb projections parked`", model.name())]
    NotParked { model: Model, key: Uuid },
    #[error("no event of {key} waits at {position} in {}: see `coulomb projections show {key}`", model.name())]
    NotWaiting { model: Model, key: Uuid, position: Position },
    #[error("the read models can't be used as they are")]
    Builds(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<crate::worker::Error> for Error {
    fn from(error: crate::worker::Error) -> Self {
        Self::Builds(Box::new(error))
    }
}

/// A key that stands still in a build.
#[derive(Debug, Clone, Serialize)]
pub struct ParkedKey {
    #[serde(serialize_with = "name_of")]
    pub model: Model,
    /// The build's number, and whether it is the one that serves.
    pub build: i32,
    pub live: bool,
    pub partition_key: Uuid,
    pub partition: i16,
    /// Of the event that could not be applied.
    pub position: Position,
    /// Empty where it has not been tried to apply it, `(not read)` where a release could not read it.
    pub event_type: String,
    pub error: String,
    pub parked_at: DateTime<Utc>,
    /// Events that wait, that one among them.
    pub waiting: i64,
    #[serde(skip)]
    pub build_id: i64,
}

impl ParkedKey {
    /// It has not been tried to apply the event that it stands still before: a release ended there because it had applied
    /// as many as one does.
    pub fn is_unfinished(&self) -> bool {
        self.event_type.is_empty()
    }
}

fn name_of<S: serde::Serializer>(model: &Model, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(model.name())
}

/// What is parked, the oldest first: of one read model or all, of one key or all; at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub async fn list(
    pool: impl Into<Pool>,
    model: Option<Model>,
    key: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ParkedKey>, Error> {
    let pool = &pool.into();
    let statement = sqlx::query(include_str!("list.sql")).bind(model.map(Model::name)).bind(key).bind(limit);
    let rows = statement.persistent(false).fetch_all(pool).await?;
    Ok(rows.iter().map(parked).collect::<Result<_, _>>()?)
}

fn parked(row: &PgRow) -> Result<ParkedKey, sqlx::Error> {
    let name: &str = row.try_get("model")?;
    let model = Model::ALL.into_iter().find(|model| model.name() == name);
    Ok(ParkedKey {
        model: model.ok_or_else(|| sqlx::Error::Decode(format!("there is no read model {name}").into()))?,
        build: row.try_get("number")?,
        live: row.try_get("live")?,
        partition_key: row.try_get("partition_key")?,
        partition: row.try_get("partition")?,
        position: Position(row.try_get("position")?),
        event_type: row.try_get("event_type")?,
        error: row.try_get("error")?,
        parked_at: row.try_get("parked_at")?,
        waiting: row.try_get("waiting")?,
        build_id: row.try_get("build_id")?,
    })
}

/// The events that wait with a parked key, in order, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub async fn waiting(
    pool: impl Into<Pool>,
    store: &EventStore,
    parked: &ParkedKey,
    limit: i64,
) -> Result<Vec<RecordedEvent>, Error> {
    let pool = &pool.into();
    let positions: Vec<i64> = sqlx::query_scalar(
        "SELECT position FROM views.parked_events WHERE build_id = $1 AND partition_key = $2 ORDER BY position LIMIT $3",
    )
    .bind(parked.build_id)
    .bind(parked.partition_key)
    .bind(limit)
    .persistent(false)
    .fetch_all(pool)
    .await?;
    let positions: Vec<Position> = positions.into_iter().map(Position).collect();
    Ok(store.read_at(&positions).await?)
}

/// What is parked, counted, for who watches over it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Count {
    pub model: String,
    pub keys: i64,
    /// Events that wait, counted up to a bound.
    pub events: i64,
    /// Since the first of the keys was parked, in seconds.
    pub oldest_s: f64,
}

pub(crate) async fn count(pool: &Pool) -> Result<Vec<Count>, sqlx::Error> {
    let rows = sqlx::query(include_str!("count.sql")).persistent(false).fetch_all(pool).await?;
    let count = |row: &PgRow| {
        Ok(Count { model: row.try_get(0)?, keys: row.try_get(1)?, oldest_s: row.try_get(2)?, events: row.try_get(3)? })
    };
    rows.iter().map(count).collect()
}
