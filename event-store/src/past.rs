//! Reading the log for who looks back: what a stream was at a position, where the log was at a time.

use chrono::{DateTime, TimeDelta, Utc};
use domain::envelope::Retention;
use domain::event::AggregateType;
use schema::log::{Position, RecordedEvent, StreamId};
use schema::stored::StoredEvent;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::EventStore;
use crate::archived::{Wanted, has};
use crate::read::Error;

/// The class that the events about read models are of.
const OF_READ_MODELS: [Retention; 1] = [Retention::Operational];
const SKIPPED: &str = "ParkedEventSkipped";
const RELEASES: [&str; 2] = ["ParkedKeyReleased", SKIPPED];

/// Part of a stream: the events with sequences above `after`, up to `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub after: i64,
    pub upto: i64,
    /// How many events the stream has by now; 0: there is no such stream.
    pub version: i64,
    /// Of its first event; 0: there is none.
    pub first_position: Position,
}

impl EventStore {
    /// The last position that was recorded at a time or before it; 0: none. Among those that this program can read.
    pub async fn position_at(&self, time: DateTime<Utc>) -> Result<Position, Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("past/position_at.sql")).bind(time)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let kept = Position(row.try_get(0)?);
        if !self.reads_archives() {
            return Ok(kept);
        }
        let detached = self.detached(row.try_get(1)?).await?;
        self.archived_position_at(&detached, kept, time).await
    }

    /// The last position that was recorded before a time; 0: none.
    pub async fn last_before(&self, time: DateTime<Utc>) -> Result<Position, Error> {
        // Postgres keeps microseconds: this is the last of them before the time.
        self.position_at(time - TimeDelta::nanoseconds(1)).await
    }

    /// When the event at a position was recorded; of one that can't be read any more, the last before it. None: before
    /// the first.
    pub async fn recorded_at(&self, position: Position) -> Result<Option<DateTime<Utc>>, Error> {
        let statement = sqlx::query(include_str!("past/recorded_at.sql")).bind(position.0);
        let Some(row) = self.database().fetch_optional(statement).await? else { return Ok(None) };
        if row.try_get::<Option<i64>, _>(1)? < Some(position.0) && self.reads_archives() {
            let detached = self.detached(row.try_get(2)?).await?;
            if has(&detached, position) {
                match self.archived_recorded_at(&detached, position).await {
                    Ok(Some(at)) => return Ok(Some(at)),
                    Ok(None) => {}
                    Err(error) if error.is_of_what_is_gone() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(row.try_get(0)?)
    }

    /// Above it every event of these classes can be read: from the log, or from the archive if this program reads archives.
    pub async fn kept_after(&self, classes: &[Retention]) -> Result<Position, Error> {
        self.after_what_is_gone(classes, self.reads_archives()).await
    }

    /// Above it the log itself has every event of these classes.
    pub async fn in_log_after(&self, classes: &[Retention]) -> Result<Position, Error> {
        self.after_what_is_gone(classes, false).await
    }

    async fn after_what_is_gone(&self, classes: &[Retention], but_archived: bool) -> Result<Position, Error> {
        let statement = sqlx::query(include_str!("past/kept_after.sql")).bind(codes(classes)).bind(but_archived);
        let rows = self.database().fetch_all(statement).await?;
        Ok(Position(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?))
    }

    /// Which events of a stream are between two positions, the second included.
    pub async fn span(&self, stream: StreamId, after: Position, upto: Position) -> Result<Span, Error> {
        let statement = sqlx::query(include_str!("past/span.sql"))
            .bind(stream.id)
            .bind(stream.aggregate.as_str())
            .bind(after.0)
            .bind(upto.0);
        let rows = self.database().fetch_all(statement).await?;
        let [start, end] = rows.as_slice() else {
            return Ok(Span { after: 0, upto: 0, version: 0, first_position: Position::START });
        };
        Ok(Span {
            after: self.length(stream, start, after).await?,
            upto: self.length(stream, end, upto).await?,
            version: end.try_get(2)?,
            first_position: Position(end.try_get(3)?),
        })
    }

    async fn length(&self, stream: StreamId, row: &PgRow, at: Position) -> Result<i64, Error> {
        let (length, next): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        // Without archives nobody reads what is missing.
        if next == length + 1 || !self.reads_archives() {
            Ok(length)
        } else {
            self.archived_length(stream, length, at).await
        }
    }

    /// The first events of a span, at most `limit` of them.
    pub async fn read_span(&self, stream: StreamId, span: Span, limit: i64) -> Result<Vec<RecordedEvent>, Error> {
        self.stream_page(stream, span.after, span.upto, limit).await
    }

    /// The events of some aggregates, but for some types of theirs, and of some classes in (`after`, `upto`]. The caller
    /// bounds them. A class that this program does not know is among them, since it can't be known what is in it.
    pub async fn read_selected(
        &self,
        after: Position,
        upto: Position,
        (aggregates, not, classes): (&[AggregateType], &[(AggregateType, &str)], &[Retention]),
    ) -> Result<Vec<RecordedEvent>, Error> {
        const SELECTED: &str = concat!(include_str!("archived/detached.sql"), include_str!("past/selected.sql"), ")");
        let statement = sqlx::query(SELECTED)
            .bind(after.0)
            .bind(upto.0)
            .bind(codes(classes))
            .bind(aggregates.iter().map(|aggregate| aggregate.as_str()).collect::<Vec<_>>())
            .bind(not.iter().map(|(aggregate, name)| format!("{}/{name}", aggregate.as_str())).collect::<Vec<_>>());
        let keep = |event: &StoredEvent| {
            let is = |of: &AggregateType| of.as_str() == event.aggregate_type;
            aggregates.iter().any(is) && !not.iter().any(|(of, name)| is(of) && *name == event.event_type)
        };
        self.some(statement, (after, upto), Wanted::of(classes), keep).await
    }

    /// The events in (`after`, `upto`] that a command has caused.
    pub async fn read_caused(
        &self,
        command: Uuid,
        after: Position,
        upto: Position,
        classes: &[Retention],
    ) -> Result<Vec<RecordedEvent>, Error> {
        const CAUSED: &str = concat!(include_str!("archived/detached.sql"), include_str!("past/caused.sql"), ")");
        let statement = sqlx::query(CAUSED).bind(after.0).bind(upto.0).bind(codes(classes)).bind(command.to_string());
        let keep = |event: &StoredEvent| event.envelope().is_ok_and(|of| of.causation_id == Some(command));
        self.some(statement, (after, upto), Wanted::of(classes), keep).await
    }

    /// At which of some positions a key of a read model was released, or an event of it skipped.
    pub async fn releases(&self, positions: &[Position]) -> Result<Vec<Position>, Error> {
        if positions.is_empty() {
            return Ok(vec![]);
        }
        let numbers: Vec<i64> = positions.iter().map(|position| position.0).collect();
        let rows = self.database().fetch_all(sqlx::query(include_str!("past/releases.sql")).bind(numbers)).await?;
        let (mut found, mut detached) = (vec![], 0);
        for row in &rows {
            match row.try_get::<Option<i64>, _>(0)? {
                Some(position) => found.push(Position(position)),
                None => detached = row.try_get(1)?,
            }
        }
        let detached = self.detached(detached).await?;
        for &position in positions.iter().filter(|position| has(&detached, **position)) {
            let span = (Position(position.0 - 1), position);
            let release = |event: &StoredEvent| RELEASES.contains(&event.event_type.as_str());
            if !self.archived(&detached, Wanted::of(&OF_READ_MODELS), span, release).await?.is_empty() {
                found.push(position);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Every event by which somebody had a read model go on without another event.
    pub async fn skips(&self) -> Result<Vec<RecordedEvent>, Error> {
        const SKIPS: &str = concat!(include_str!("archived/detached.sql"), include_str!("past/skips.sql"), ")");
        let (mut events, detached) = self.marked::<RecordedEvent>(sqlx::query(SKIPS)).await?;
        let detached = self.detached(detached).await?;
        if detached.iter().any(|range| OF_READ_MODELS.contains(&range.retention)) {
            let streams = sqlx::query(include_str!("past/told_in_archives.sql")).bind(codes(&OF_READ_MODELS));
            for row in self.database().fetch_all(streams).await? {
                let stream = StreamId { aggregate: AggregateType::ReadModel, id: row.try_get(0)? };
                events.retain(|event| event.stream != stream);
                let told = self.read_stream(stream, 1).await?;
                events.extend(told.into_iter().filter(|event| event.event_type == SKIPPED));
            }
        }
        events.sort_by_key(|event| event.position);
        Ok(events)
    }

    /// The events of some types of an aggregate, which are of some classes, in (`after`, `upto`]. For rare ones.
    pub async fn read_typed(
        &self,
        aggregate: AggregateType,
        event_types: &[&str],
        classes: &[Retention],
        after: Position,
        upto: Position,
    ) -> Result<Vec<RecordedEvent>, Error> {
        const TYPED: &str = concat!(include_str!("archived/detached.sql"), include_str!("past/typed.sql"), ")");
        let statement = sqlx::query(TYPED).bind(after.0).bind(upto.0).bind(aggregate.as_str()).bind(event_types);
        let keep = |event: &StoredEvent| {
            event.aggregate_type == aggregate.as_str() && event_types.contains(&event.event_type.as_str())
        };
        self.some(statement, (after, upto), Wanted::of(classes), keep).await
    }
}

fn codes(classes: &[Retention]) -> Vec<i16> {
    classes.iter().map(|class| class.code()).collect()
}
