//! The events that a build needs, from the log in short transactions, shared out among tasks by partition.

use event_store::EventStore;
use event_store::bulk::{self, BulkRow, Selection};
use event_store::read::Error;
use futures_util::TryStreamExt;
use pool::Connection;
use read_models::{aggregates, passed_over, retention};
use schema::log::Position;
use schema::view::Model;

pub(super) struct Source {
    /// For what the log doesn't have any more.
    store: EventStore,
    connection: Connection<'static>,
    model: Model,
    selection: Selection,
    range_positions: i64,
    at: Position,
    upto: Position,
}

impl Source {
    /// What the model needs, in (`at`, `upto`].
    pub fn new(
        (store, connection): (EventStore, Connection<'static>),
        model: Model,
        range_positions: i64,
        at: Position,
        upto: Position,
    ) -> Self {
        let selection = Selection::of(aggregates(model), passed_over(model));
        Self { store, connection, model, selection, range_positions, at, upto }
    }

    /// The next range: up to where, and its rows for each of the tasks. None: it is at its end.
    pub async fn next(&mut self, tasks: usize) -> Result<Option<(Position, Vec<Vec<BulkRow>>)>, Error> {
        if self.at >= self.upto {
            return Ok(None);
        }
        let upto = Position(self.upto.0.min(self.at.0 + self.range_positions));
        let mut shares = vec![vec![]; tasks];
        {
            let rows = bulk::read(&mut self.connection, self.at, upto, &self.selection).await?;
            let mut rows = std::pin::pin!(rows);
            while let Some(row) = rows.try_next().await? {
                shares[usize::from(row.partition.number()) % tasks].push(row);
            }
        }
        // Each position has a row, unless it was archived.
        if (shares.iter().map(Vec::len).sum::<usize>() as i64) < upto.0 - self.at.0 {
            shares = self.with_archived(upto, shares).await?;
        }
        self.at = upto;
        Ok(Some((upto, shares)))
    }

    async fn with_archived(&self, upto: Position, shares: Vec<Vec<BulkRow>>) -> Result<Vec<Vec<BulkRow>>, Error> {
        let tasks = shares.len();
        let mut rows = shares.concat();
        let wanted = (aggregates(self.model), passed_over(self.model), retention(self.model));
        self.store.bulk_archived(&mut rows, (self.at, upto), wanted).await?;
        let mut shares = vec![vec![]; tasks];
        for row in rows {
            shares[usize::from(row.partition.number()) % tasks].push(row);
        }
        Ok(shares)
    }
}
