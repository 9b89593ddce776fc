//! After a lost connection: was it committed?

use pool::Connection;
use schema::log::{Generation, Position};
use sqlx::Row;

use crate::append::{Append, Appended};

/// The outcome of an append whose first try was lost, if that try was committed. Asked after a second try was refused or
/// answered with a replay, so that the first one can't be committed any more.
pub(super) async fn committed(
    connection: &mut Connection<'_>,
    append: &Append,
) -> Result<Option<Appended>, sqlx::Error> {
    let written = || append.writes.iter().filter_map(|write| write.events.first().map(|event| (write, event)));
    let types: Vec<&str> = written().map(|(write, _)| write.stream.aggregate.as_str()).collect();
    let ids: Vec<_> = written().map(|(write, _)| write.stream.id).collect();
    let events: Vec<_> = written().map(|(_, event)| event.event_id).collect();
    if events.is_empty() {
        return Ok(None);
    }
    let statement = sqlx::query(include_str!("recall.sql")).bind(types).bind(ids).bind(&events);
    let rows = statement.fetch_all(connection).await?;
    if rows.len() < events.len() {
        return Ok(None);
    }
    let first = &rows[0];
    let last = first.try_get::<i64, _>(0)? + append.event_count() as i64 - 1;
    let mut rows = rows.iter();
    let mut versions = Vec::with_capacity(append.writes.len());
    for write in &append.writes {
        let row = if write.events.is_empty() { None } else { rows.next() };
        let before = row.map(|row| row.try_get::<i64, _>(1)).transpose()?.map_or(0, |sequence| sequence - 1);
        versions.push(before + write.events.len() as i64);
    }
    Ok(Some(Appended::Committed {
        position: Position(last),
        generation: Generation(first.try_get(2)?),
        versions,
        recorded_at: first.try_get(3)?,
    }))
}
