//! What the log has, and what its archives have, as one.

use std::collections::HashSet;

use schema::log::{Position, RecordedEvent, StreamId};
use schema::stored::StoredEvent;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};

use super::known::{ARCHIVE_POSITIONS, Wanted};
use crate::EventStore;
use crate::read::Error;
use crate::row::EventRow;

/// An event as somebody wants it.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &EventRow<'_>) -> Result<Self, Error>;
    fn position(&self) -> Position;
    fn sequence(&self) -> i64;
}

impl FromRow for RecordedEvent {
    fn from_row(row: &EventRow<'_>) -> Result<Self, Error> {
        row.recorded()
    }

    fn position(&self) -> Position {
        self.position
    }

    fn sequence(&self) -> i64 {
        self.sequence
    }
}

impl FromRow for StoredEvent {
    fn from_row(row: &EventRow<'_>) -> Result<Self, Error> {
        row.stored()
    }

    fn position(&self) -> Position {
        self.position
    }

    fn sequence(&self) -> i64 {
        self.sequence
    }
}

fn decoded<T: FromRow>(row: &PgRow) -> Result<T, Error> {
    T::from_row(&EventRow::of(row)?)
}

pub(crate) fn decoded_stored<T: FromRow>(event: &StoredEvent) -> Result<T, Error> {
    let id = event.aggregate_id.to_string();
    T::from_row(&EventRow::of_stored(event, &id))
}

/// Both in the order of positions; what both have, once.
fn merge<T: FromRow>(events: &mut Vec<T>, archived: &[StoredEvent]) -> Result<(), Error> {
    if !archived.is_empty() {
        for event in archived {
            events.push(decoded_stored(event)?);
        }
        events.sort_by_key(T::position);
        events.dedup_by_key(|event| event.position());
    }
    Ok(())
}

impl EventStore {
    /// Every event in (`after`, `upto`], by a statement that answers all that the log has of them: each position has one, so
    /// that one which is missing shows.
    pub(crate) async fn whole<T: FromRow>(
        &self,
        statement: Query<'_, Postgres, PgArguments>,
        (after, upto): (Position, Position),
    ) -> Result<Vec<T>, Error> {
        let rows = self.database().fetch_all(statement).await?;
        let mut events = rows.iter().map(decoded).collect::<Result<Vec<T>, _>>()?;
        if (rows.len() as i64) < upto.0 - after.0 {
            let detached = self.detached_ranges().await?;
            let archived = self.archived(&detached, Wanted::default(), (after, upto), |_| true).await?;
            merge(&mut events, &archived)?;
        }
        Ok(events)
    }

    /// Some events in (`after`, `upto`], by a statement that begins with `detached.sql`; and those that archives have of what is
    /// `wanted`, if they are to be kept. In the order of positions.
    pub(crate) async fn some<T: FromRow>(
        &self,
        statement: Query<'_, Postgres, PgArguments>,
        span: (Position, Position),
        wanted: Wanted<'_>,
        keep: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Vec<T>, Error> {
        let (mut events, detached) = self.marked(statement).await?;
        let detached = self.detached(detached).await?;
        let archived = self.archived(&detached, wanted, span, keep).await?;
        merge(&mut events, &archived)?;
        if !events.is_sorted_by_key(T::position) {
            events.sort_by_key(T::position);
        }
        Ok(events)
    }

    /// Events, and the number in the row without a position; 0: there is no such row.
    pub(crate) async fn marked<T: FromRow>(
        &self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<(Vec<T>, i64), Error> {
        let rows = self.database().fetch_all(statement).await?;
        let mut events = Vec::with_capacity(rows.len().saturating_sub(1));
        let mut number = 0;
        for row in &rows {
            match row.try_get::<Option<i64>, _>(0)? {
                Some(_) => events.push(decoded(row)?),
                None => number = row.try_get(1)?,
            }
        }
        Ok((events, number))
    }

    /// The first events of a stream with sequences in (`after`, `upto`], at most `limit`. Sequences are dense, so that one
    /// which is missing shows.
    ///
    /// # Errors
    /// [`Error::Gone`] where one is neither in the log nor in an archive.
    pub(crate) async fn stream_page<T: FromRow>(
        &self,
        stream: StreamId,
        after: i64,
        upto: i64,
        limit: i64,
    ) -> Result<Vec<T>, Error> {
        const STREAM: &str = concat!(include_str!("version.sql"), include_str!("../read/stream.sql"), ")");
        let statement =
            sqlx::query(STREAM).bind(stream.id).bind(stream.aggregate.as_str()).bind(after).bind(upto).bind(limit);
        let (mut events, version) = self.marked::<T>(statement).await?;
        events.sort_by_key(T::sequence);
        let end = upto.min(version).min(after.saturating_add(limit));
        // What lies above a gap doesn't count for what is missing in it.
        events.retain(|event| event.sequence() <= end);
        let is_whole = |events: &[T]| events.len() as i64 >= end - after;
        if is_whole(&events) {
            return Ok(events);
        }
        self.fill(stream, (after, end), &mut events).await?;
        if is_whole(&events) {
            return Ok(events);
        }
        let mut missing = (after + 1..=end).zip(events.iter().map(T::sequence).chain([end + 1]));
        let (first, next) = missing.find(|(expected, found)| expected != found).unwrap_or((after + 1, end + 1));
        Err(Error::Gone { stream, first, last: next - 1 })
    }

    /// Adds what archives have of a stream's events with sequences in (`after`, `end`].
    async fn fill<T: FromRow>(
        &self,
        stream: StreamId,
        (after, end): (i64, i64),
        events: &mut Vec<T>,
    ) -> Result<(), Error> {
        let bounds =
            sqlx::query(include_str!("bounds.sql")).bind(stream.id).bind(stream.aggregate.as_str()).bind(after);
        let Some(bounds) = self.database().fetch_optional(bounds).await? else { return Ok(()) };
        let (mut from, upto): (i64, i64) = (bounds.try_get(0)?, bounds.try_get(1)?);
        let detached = self.detached_ranges().await?;
        let mut found = vec![];
        let missing = (end - after) as usize - events.len();
        // Archives may have by now what the log had a moment ago.
        let had: HashSet<i64> = events.iter().map(T::sequence).collect();
        let wanted =
            |event: &StoredEvent| event.sequence > after && event.sequence <= end && !had.contains(&event.sequence);
        while found.len() < missing
            && let Some(next) = detached.iter().filter(|range| range.last.0 > from).map(|range| range.first.0 - 1).min()
        {
            from = from.max(next);
            if from >= upto {
                break;
            }
            let to = upto.min(from + ARCHIVE_POSITIONS);
            let span = (Position(from), Position(to));
            found.append(&mut self.archived(&detached, Wanted::stream(stream), span, wanted).await?);
            from = to;
        }
        merge(events, &found)
    }
}
