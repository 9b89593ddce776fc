//! What the database says of the log's lineage, and what follows from it.

use chrono::{DateTime, Utc};
use domain::log::GenerationReason;
use schema::log::{Generation, Position};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Halt, State};
use crate::EventStore;

/// The head of the log, and the server that holds it.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub position: Position,
    pub generation: Generation,
    pub recorded_at: DateTime<Utc>,
    /// On which the log is appended to; 0: on none.
    timeline: i32,
    /// None: it is a replica.
    server_timeline: Option<i32>,
    /// Of the cluster of Postgres in which the generation began; none: that was never written down.
    known_system: Option<i64>,
    server_system: i64,
    /// A generation has begun and its lost positions are being filled, up to here.
    pub filling_upto: Option<Position>,
    pub halt: Option<Halt>,
}

impl Look {
    pub async fn at(store: &EventStore) -> Result<Self, sqlx::Error> {
        let rows = store.database().fetch_all(sqlx::query(include_str!("look.sql"))).await?;
        Self::read(rows.first().ok_or(sqlx::Error::RowNotFound)?)
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let position = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Position));
        let generation = Generation(row.try_get(1)?);
        let halt = match row.try_get::<Option<String>, _>(8)? {
            None => None,
            Some(reason) => Some(Halt {
                generation,
                reason: GenerationReason::parse(&reason).unwrap_or(GenerationReason::WentBack),
                head: position(9)?.unwrap_or_default(),
                shared_upto: position(10)?.unwrap_or_default(),
                lost_upto: position(11)?,
                noticed_at: row.try_get(12)?,
            }),
        };
        Ok(Self {
            position: Position(row.try_get(0)?),
            generation,
            recorded_at: row.try_get(2)?,
            timeline: row.try_get(3)?,
            server_timeline: row.try_get(4)?,
            known_system: row.try_get(5)?,
            server_system: row.try_get(6)?,
            filling_upto: position(7)?,
            halt,
        })
    }

    /// Why the log can't go on as it was; none: it can.
    pub fn change(&self) -> Option<GenerationReason> {
        let server = self.server_timeline?;
        if self.known_system.is_some_and(|known| known != self.server_system) {
            return Some(GenerationReason::Moved);
        }
        if let Some(halt) = &self.halt {
            return Some(halt.reason);
        }
        (self.timeline != server).then_some(GenerationReason::Promoted)
    }

    /// Whether appends are refused.
    pub fn takes_nothing(&self) -> bool {
        self.server_timeline.is_some_and(|server| server != self.timeline)
    }

    /// Whether nothing was appended since the server became another one: from its first moment on it was refused.
    pub fn is_untouched(&self) -> bool {
        self.timeline != 0 && self.takes_nothing()
    }

    pub fn state(&self) -> State {
        if let Some(upto) = self.filling_upto {
            return State::Filling { position: self.position, upto };
        }
        match (&self.halt, self.change()) {
            (Some(halt), Some(_)) if halt.lost_upto.is_some() => State::Halted(halt.clone()),
            (_, Some(reason)) => State::Unsure { reason, head: self.position },
            (_, None) => State::Open { generation: self.generation },
        }
    }
}
