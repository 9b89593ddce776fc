//! What is left of the log, folded inside somebody else's transaction: for an exchange of builds, which has to happen at one
//! position.

use std::collections::HashMap;
use std::sync::Arc;

use event_store::{EventStore, PartitionSet};
use pool::{Connection, Pool};
use read_models::Folds;
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::ViewStore;

use super::claim::{Claimed, Cursor};
use super::cut::cut;
use super::engine::{Engine, parts};
use super::rows::Rows;
use super::write::{Step, Write, write_on};
use super::{BATCH_EVENTS_MAX, Error};

/// Rows kept until the transaction ends, since only it can read them: more than so few events can change.
const ROWS_MAX: usize = 100_000;
/// Positions that are folded here at most: all workers wait.
const POSITIONS_MAX: i64 = 20_000;

/// Folds everything up to `upto` for the live builds and those that have joined, and sets all checkpoints there. The
/// transaction has ended the runs (`views.end_runs`). `pool`: to read what was committed before it.
///
/// # Errors
/// [`Error::FarBehind`] when too much is left; nothing was written then. After any other the transaction must be rolled back.
pub(crate) async fn catch_up(
    connection: &mut Connection<'_>,
    (pool, store): (&Pool, &EventStore),
    folds: &Folds,
    upto: Position,
) -> Result<(), Error> {
    let statement = sqlx::query(include_str!("sql/progress.sql")).persistent(false);
    let rows = statement.fetch_all(&mut *connection).await.map_err(Error::Write)?;
    let Claimed { cursors, digests, builds, parked, .. } = Claimed::read(connection, &rows, folds).await?;
    let from = cursors.iter().map(|cursor| cursor.position).min().unwrap_or_default();
    if upto.0 - from.0 > POSITIONS_MAX {
        return Err(Error::FarBehind { positions: upto.0 - from.0 });
    }
    let views = ViewStore::new(pool.clone());
    let boundaries = views.boundaries().await?;
    let mut engine = Engine { builds, parked, digests, rows: Rows::new(views, pool.clone(), ROWS_MAX) };
    let at: HashMap<Partition, Position> =
        cursors.iter().map(|Cursor { partition, position }| (*partition, *position)).collect();

    let mut from = from;
    while from < upto {
        let read =
            store.read(from, upto.0 - from.0, PartitionSet::ALL).await.map_err(event_store::feed::Error::Read)?;
        if read.upto == from {
            return Err(Error::NotThere { at: upto });
        }
        from = read.upto.min(upto);
        let new = |event: &RecordedEvent| {
            event.position <= upto && at.get(&event.partition).is_none_or(|at| event.position > *at)
        };
        let events: Vec<Arc<RecordedEvent>> = read.events.into_iter().filter(new).map(Arc::new).collect();
        let mut rest = events.as_slice();
        loop {
            let (part, part_upto, after) = match cut(rest, BATCH_EVENTS_MAX, &boundaries) {
                Some((count, part_upto)) => (&rest[..count], part_upto, Some(&rest[count..])),
                None => (rest, from, None),
            };
            for (part, part_upto) in parts(part, part_upto) {
                let batch = engine.take(Some(&mut *connection), store, part, part_upto).await?;
                write_on(connection, &Write { step: Step::Settle, engine: &engine, batch: &batch }).await?;
                engine.keep(batch);
            }
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
    }
    Ok(())
}
