//! Which builds there are.

use chrono::{DateTime, Utc};
use pool::Pool;
use schema::log::Position;
use schema::view::Model;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::{PgExecutor, PgRow};

use super::Error;

/// What a build is to its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// A rebuilder fills it from the log; nobody reads it.
    Building,
    /// The workers write it together with the live one.
    Joined,
    /// It serves.
    Live,
}

impl BuildState {
    fn parse(word: &str) -> Option<Self> {
        [("building", Self::Building), ("joined", Self::Joined), ("live", Self::Live)]
            .into_iter()
            .find_map(|(name, state)| (name == word).then_some(state))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Joined => "joined",
            Self::Live => "live",
        }
    }
}

/// A build that has a table.
#[derive(Debug, Clone, Serialize)]
pub struct Build {
    #[serde(skip)]
    pub id: i64,
    #[serde(serialize_with = "name_of")]
    pub model: Model,
    /// Of its model, from 1.
    pub number: i32,
    /// Of the fold that makes its rows.
    pub fold_version: i32,
    pub state: BuildState,
    pub created_at: DateTime<Utc>,
    /// Of the event that made it live the last time; none: it never was.
    pub live_since_position: Option<Position>,
    /// Everything up to here is in its rows.
    pub position: Position,
    /// Positions of the log that are not.
    pub lag: i64,
    /// Keys that stand still because of an event that could not be applied.
    pub parked_keys: i64,
    /// Of the table and its indexes.
    pub bytes: i64,
}

fn name_of<S: serde::Serializer>(model: &Model, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(model.name())
}

/// Every build that has a table, by model and number.
///
/// # Errors
/// When the database can't be read.
pub async fn list(pool: impl Into<Pool>) -> Result<Vec<Build>, Error> {
    let pool = &pool.into();
    read(pool, None).await
}

pub(super) async fn read(executor: impl PgExecutor<'_>, model: Option<Model>) -> Result<Vec<Build>, Error> {
    let statement = sqlx::query(include_str!("list.sql")).bind(model.map(Model::name)).persistent(false);
    let rows = statement.fetch_all(executor).await?;
    Ok(rows.iter().map(build).collect::<Result<_, _>>()?)
}

fn build(row: &PgRow) -> Result<Build, sqlx::Error> {
    let unknown = |what: &str| sqlx::Error::Decode(format!("there is no {what}").into());
    let name: &str = row.try_get("model")?;
    let state: &str = row.try_get("state")?;
    let position: i64 = row.try_get("position")?;
    let head: i64 = row.try_get("head")?;
    Ok(Build {
        id: row.try_get("build_id")?,
        model: Model::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| unknown(name))?,
        number: row.try_get("number")?,
        fold_version: row.try_get("fold_version")?,
        state: BuildState::parse(state).ok_or_else(|| unknown(state))?,
        created_at: row.try_get("created_at")?,
        live_since_position: row.try_get::<Option<i64>, _>("live_since_position")?.map(Position),
        position: Position(position),
        lag: (head - position).max(0),
        parked_keys: row.try_get("parked")?,
        bytes: row.try_get("bytes")?,
    })
}
