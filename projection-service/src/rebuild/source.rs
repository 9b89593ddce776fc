//! The events that a build needs, from the log in short transactions, shared out among tasks by partition.

use event_store::bulk::{self, BulkRow, Selection};
use event_store::read::Error;
use futures_util::TryStreamExt;
use read_models::{aggregates, passed_over};
use schema::log::Position;
use schema::view::Model;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

/// Positions of one transaction.
const RANGE_POSITIONS: i64 = 8_192;

pub(super) struct Source {
    connection: PoolConnection<Postgres>,
    selection: Selection,
    at: Position,
    upto: Position,
}

impl Source {
    /// What the model needs, in (`at`, `upto`].
    pub fn new(connection: PoolConnection<Postgres>, model: Model, at: Position, upto: Position) -> Self {
        let selection = Selection::of(aggregates(model), passed_over(model));
        Self { connection, selection, at, upto }
    }

    /// The next range: up to where, and its rows for each of the tasks. None: it is at its end.
    pub async fn next(&mut self, tasks: usize) -> Result<Option<(Position, Vec<Vec<BulkRow>>)>, Error> {
        if self.at >= self.upto {
            return Ok(None);
        }
        let upto = Position(self.upto.0.min(self.at.0 + RANGE_POSITIONS));
        let mut shares = vec![vec![]; tasks];
        let rows = bulk::read(&mut self.connection, self.at, upto, &self.selection).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await? {
            shares[usize::from(row.partition.number()) % tasks].push(row);
        }
        self.at = upto;
        Ok(Some((upto, shares)))
    }
}
