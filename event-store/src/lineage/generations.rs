//! The history of the log's generations.

use chrono::{DateTime, Utc};
use schema::log::{Generation, Position};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::EventStore;

/// A generation, and how it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Began {
    pub number: Generation,
    /// Up to here its events are certainly those of the generation before.
    pub shared_upto: Position,
    /// The positions whose events were lost.
    pub lost_from: Option<Position>,
    pub lost_upto: Option<Position>,
    /// `installed`, or one of [`GenerationReason`](domain::log::GenerationReason).
    pub reason: String,
    /// Of Postgres.
    pub timeline: i32,
    /// Of Postgres. A text, since it is a number that JSON's readers can't hold.
    pub system_identifier: String,
    pub began_at: DateTime<Utc>,
    /// None: its lost positions are being filled.
    pub completed_at: Option<DateTime<Utc>>,
    /// Of the event that tells of it; the first has none.
    pub position: Option<Position>,
}

impl EventStore {
    /// The generations of the log, in their order.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn generations(&self) -> Result<Vec<Began>, sqlx::Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("generations.sql"))).await?;
        rows.iter().map(began).collect()
    }
}

fn began(row: &PgRow) -> Result<Began, sqlx::Error> {
    let position = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Position));
    Ok(Began {
        number: Generation(row.try_get(0)?),
        shared_upto: Position(row.try_get(1)?),
        lost_from: position(2)?,
        lost_upto: position(3)?,
        reason: row.try_get(4)?,
        timeline: row.try_get(5)?,
        system_identifier: row.try_get(6)?,
        began_at: row.try_get(7)?,
        completed_at: row.try_get(8)?,
        position: position(9)?,
    })
}
