//! Reading the tables of the read models. Writing them is projection-service's alone.

mod at;
mod feed;
mod list;
mod replica;

use std::sync::Arc;

use pool::Pool;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::error::Error;
use super::progress::Reached;
use super::query::Cursor;
use super::row::{Model, Row, RowChange};
use crate::log::{Generation, Position};
use crate::partition::Partition;

pub use at::Version;
pub use feed::{FeedOptions, TableFeed, TableFeeds};
pub use replica::Replica;

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The tables of the read models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ViewStore {
    pool: Pool,
    replica: Option<Replica>,
    /// The replica is asked, for answers that are no older than this. None: it is not.
    floor: Option<Reached>,
    /// What whoever asks has already, by which it is measured how far the replica is behind. None: it is not measured.
    known: Option<Reached>,
}

/// An answer, and how far the read models were when it was given: read in one snapshot.
#[derive(Debug, Clone)]
pub struct Found<T> {
    pub reached: Reached,
    pub rows: T,
}

/// A page of a list, and after which row the next one begins; none at the end.
#[derive(Debug, Clone)]
pub struct Page {
    pub reached: Reached,
    pub rows: Vec<Arc<RowChange>>,
    pub next: Option<Cursor>,
}

impl ViewStore {
    pub fn new(pool: impl Into<Pool>) -> Self {
        Self { pool: pool.into(), replica: None, floor: None, known: None }
    }

    /// With a replica for those who say how old an answer may be ([`ViewStore::no_older_than`]); all others go on asking
    /// the primary.
    #[must_use]
    pub fn with_replica(self, replica: Option<Replica>) -> Self {
        Self { replica, ..self }
    }

    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// The same tables, of which rows and lists may come from the replica if it is at this position or beyond.
    #[must_use]
    pub fn no_older_than(&self, floor: Reached) -> Self {
        Self { floor: Some(floor), ..self.clone() }
    }

    /// The same tables, for somebody who has everything up to there.
    #[must_use]
    pub fn measured_by(self, known: Reached) -> Self {
        Self { known: Some(known), ..self }
    }

    /// How far the read models are.
    pub async fn reached(&self) -> Result<Reached, Error> {
        let rows = self.fetch_all(sqlx::query("SELECT generation, position FROM views.reached()")).await?;
        Ok(reached(rows.first().ok_or(sqlx::Error::RowNotFound)?)?)
    }

    /// One row; none where there is none, or it was removed.
    pub async fn get(&self, model: Model, key: &str) -> Result<Found<Option<Arc<RowChange>>>, Error> {
        let found = self.get_all(&[(model, key)]).await?;
        Ok(Found { reached: found.reached, rows: found.rows.into_iter().find(|row| !row.removed) })
    }

    /// The rows of these keys, of any read models, in one statement; in no order. Removed ones are among them.
    pub async fn get_all(&self, keys: &[(Model, &str)]) -> Result<Found<Vec<Arc<RowChange>>>, Error> {
        let statement = || {
            Model::ALL.into_iter().fold(sqlx::query(include_str!("get_all.sql")), |statement, model| {
                let of_model = keys.iter().filter(|(of, _)| *of == model).map(|(_, key)| *key);
                statement.bind(of_model.collect::<Vec<_>>())
            })
        };
        let rows = self.fetch_all_dated(statement).await?;
        let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Found { reached: reached(first)?, rows: changes(&rows)? })
    }

    /// Of a statement whose first two columns say how far the tables are.
    async fn fetch_all_dated<'s>(&self, make: impl Fn() -> Statement<'s>) -> Result<Vec<PgRow>, Error> {
        if let (Some(replica), Some(floor)) = (&self.replica, self.floor)
            && let Some(rows) = replica.fetch_all(&make, floor, self.known).await
        {
            return Ok(rows);
        }
        self.fetch_all(make()).await
    }

    async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, Error> {
        Ok(statement.fetch_all(&self.pool).await?)
    }
}

/// From the first two columns of every statement here.
fn reached(row: &PgRow) -> Result<Reached, sqlx::Error> {
    Ok(Reached { generation: Generation(row.try_get(0)?), position: Position(row.try_get(1)?) })
}

/// From the columns after those: the model's name, then those of its table. An answer without rows has one of nulls.
fn changes(rows: &[PgRow]) -> Result<Vec<Arc<RowChange>>, Error> {
    rows.iter().filter_map(|row| change(row).transpose()).map(|change| change.map(Arc::new)).collect()
}

fn change(row: &PgRow) -> Result<Option<RowChange>, Error> {
    let Some(name) = row.try_get::<Option<&str>, _>(2)? else { return Ok(None) };
    let decode = |what: String| Error::Unavailable(sqlx::Error::Decode(what.into()));
    let model = Model::ALL.into_iter().find(|model| model.name() == name);
    let model = model.ok_or_else(|| decode(format!("there is no read model {name}")))?;
    let number: i16 = row.try_get(4)?;
    let partition = u8::try_from(number).ok().and_then(Partition::new);
    let key: String = row.try_get(3)?;
    let content = Row::from_json(model, row.try_get(8)?);
    Ok(Some(RowChange {
        partition: partition.ok_or_else(|| decode(format!("there is no partition {number}")))?,
        generation: Generation(row.try_get(5)?),
        position: Position(row.try_get(6)?),
        removed: row.try_get(7)?,
        row: content.map_err(|source| Error::Corrupt { model, key: key.clone(), source })?,
        key,
    }))
}
