//! Events as they are stored, carried from one log into another that gets nothing else: for replays. Rows keep every
//! column; streams and head become what they were after the last of them, and who listens is told.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use pool::Connection;
use schema::log::Position;
use sqlx::Row;

use crate::StoreOptions;
use crate::ranges;

/// Positions that one call should carry: one transaction on each side.
pub const REFEED_POSITIONS_MAX: i64 = 20_000;

const COLUMNS: &str = "position, sequence, generation, recorded_at, event_id, partition_key, retention, partition, \
                       aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be read")]
    Source(#[source] sqlx::Error),
    #[error("the log that is fed can't be written")]
    Target(#[source] sqlx::Error),
    /// Some of its events are not kept, or not yet there.
    #[error("of the positions {after} to {upto} the log has {events} events only")]
    Missing { after: Position, upto: Position, events: u64 },
}

/// Carries the events in (`after`, `upto`] over, all or none. The target's head is at `after`. After an error the source's
/// connection is of no further use.
///
/// Fences stay 0: nobody appends to what is fed.
///
/// # Errors
/// [`Error`]; then the target is as it was.
pub async fn refeed(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    after: Position,
    upto: Position,
) -> Result<(), Error> {
    ranges::make_ahead(target, &StoreOptions::default()).await.map_err(Error::Target)?;
    let mut transaction = target.begin().await.map_err(Error::Target)?;
    let out = format!(
        "COPY (SELECT {COLUMNS} FROM events WHERE position > {after} AND position <= {upto} ORDER BY position) \
         TO STDOUT (FORMAT binary)"
    );
    let mut rows = source.copy_out_raw(&out).await.map_err(Error::Source)?;
    let into = format!("COPY events ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut copy = transaction.copy_in_raw(&into).await.map_err(Error::Target)?;
    while let Some(bytes) = rows.try_next().await.map_err(Error::Source)? {
        copy.send(bytes).await.map_err(Error::Target)?;
    }
    let events = copy.finish().await.map_err(Error::Target)?;
    if events != (upto.0 - after.0).unsigned_abs() {
        return Err(Error::Missing { after, upto, events });
    }
    for sql in [include_str!("refeed/streams.sql"), include_str!("refeed/head.sql")] {
        let statement = sqlx::query(sql).bind(after.0).bind(upto.0);
        statement.execute(&mut *transaction).await.map_err(Error::Target)?;
    }
    transaction.commit().await.map_err(Error::Target)
}

/// When the first events after `after`, up to `upto`, were recorded: at most `limit`.
///
/// # Errors
/// When the log can't be read.
pub async fn moments(
    source: &mut Connection<'_>,
    after: Position,
    upto: Position,
    limit: i64,
) -> Result<Vec<(Position, DateTime<Utc>)>, Error> {
    let statement = sqlx::query(include_str!("refeed/moments.sql")).bind(after.0).bind(upto.0).bind(limit);
    let rows = statement.fetch_all(source).await.map_err(Error::Source)?;
    let moment = |row: &sqlx::postgres::PgRow| Ok((Position(row.try_get(0)?), row.try_get(1)?));
    rows.iter().map(moment).collect::<Result<_, sqlx::Error>>().map_err(Error::Source)
}
