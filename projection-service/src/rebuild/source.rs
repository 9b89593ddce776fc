//! The events that a build needs, from the log in short transactions, shared out among tasks by partition.

use event_store::bulk::{self, BulkRow, Selection};
use event_store::read::Error;
use futures_util::TryStreamExt;
use read_models::{aggregates, passed_over};
use schema::log::Position;
use schema::view::Model;
use sqlx::postgres::PgConnection;

pub(super) struct Source {
    connection: PgConnection,
    selection: Selection,
    range_positions: i64,
    at: Position,
    upto: Position,
}

impl Source {
    /// What the model needs, in (`at`, `upto`].
    pub fn new(connection: PgConnection, model: Model, range_positions: i64, at: Position, upto: Position) -> Self {
        let selection = Selection::of(aggregates(model), passed_over(model));
        Self { connection, selection, range_positions, at, upto }
    }

    /// The next range: up to where, and its rows for each of the tasks. None: it is at its end.
    pub async fn next(&mut self, tasks: usize) -> Result<Option<(Position, Vec<Vec<BulkRow>>)>, Error> {
        if self.at >= self.upto {
            return Ok(None);
        }
        let upto = Position(self.upto.0.min(self.at.0 + self.range_positions));
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
