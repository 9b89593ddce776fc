//! Reading the log for who looks back: what a stream was at a position, where the log was at a time.

use chrono::{DateTime, TimeDelta, Utc};
use domain::envelope::Retention;
use domain::event::AggregateType;
use schema::log::{Position, RecordedEvent, StreamId};
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;
use crate::read::{Error, recorded};

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
    /// The last position that was recorded at a time or before it; 0: none.
    pub async fn position_at(&self, time: DateTime<Utc>) -> Result<Position, Error> {
        let rows = self.database().fetch_all(sqlx::query("SELECT log_position_at($1)").bind(time)).await?;
        Ok(Position(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?))
    }

    /// The last position that was recorded before a time; 0: none.
    pub async fn last_before(&self, time: DateTime<Utc>) -> Result<Position, Error> {
        // Postgres keeps microseconds: this is the last of them before the time.
        self.position_at(time - TimeDelta::nanoseconds(1)).await
    }

    /// When the event at a position was recorded; of one that is not kept, the last before it. None: before the first.
    pub async fn recorded_at(&self, position: Position) -> Result<Option<DateTime<Utc>>, Error> {
        let statement = sqlx::query(include_str!("past/recorded_at.sql")).bind(position.0);
        let row = self.database().fetch_optional(statement).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Above it the log has every event of these classes.
    pub async fn kept_after(&self, classes: &[Retention]) -> Result<Position, Error> {
        let statement = sqlx::query("SELECT log_kept_after($1)").bind(codes(classes));
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
        let Some(row) = self.database().fetch_optional(statement).await? else {
            return Ok(Span { after: 0, upto: 0, version: 0, first_position: Position::START });
        };
        Ok(Span {
            after: row.try_get(0)?,
            upto: row.try_get(1)?,
            version: row.try_get(2)?,
            first_position: Position(row.try_get(3)?),
        })
    }

    /// The first events of a span, at most `limit` of them.
    pub async fn read_span(&self, stream: StreamId, span: Span, limit: i64) -> Result<Vec<RecordedEvent>, Error> {
        let statement = sqlx::query(include_str!("read/stream.sql"))
            .bind(stream.id)
            .bind(stream.aggregate.as_str())
            .bind(span.after)
            .bind(span.upto)
            .bind(limit);
        self.database().fetch_all(statement).await?.iter().map(recorded).collect()
    }

    /// The events of some aggregates, but for some types of theirs, and of some classes in (`after`, `upto`]. The caller
    /// bounds them. A class that this program does not know is among them, since it can't be known what is in it.
    pub async fn read_selected(
        &self,
        after: Position,
        upto: Position,
        (aggregates, not, classes): (&[AggregateType], &[(AggregateType, &str)], &[Retention]),
    ) -> Result<Vec<RecordedEvent>, Error> {
        let statement = sqlx::query(include_str!("past/selected.sql"))
            .bind(after.0)
            .bind(upto.0)
            .bind(codes(classes))
            .bind(aggregates.iter().map(|aggregate| aggregate.as_str()).collect::<Vec<_>>())
            .bind(not.iter().map(|(aggregate, name)| format!("{}/{name}", aggregate.as_str())).collect::<Vec<_>>());
        self.database().fetch_all(statement).await?.iter().map(recorded).collect()
    }

    /// The events in (`after`, `upto`] that a command has caused.
    pub async fn read_caused(
        &self,
        command: Uuid,
        after: Position,
        upto: Position,
        classes: &[Retention],
    ) -> Result<Vec<RecordedEvent>, Error> {
        let statement = sqlx::query(include_str!("past/caused.sql"))
            .bind(after.0)
            .bind(upto.0)
            .bind(codes(classes))
            .bind(command.to_string());
        self.database().fetch_all(statement).await?.iter().map(recorded).collect()
    }

    /// At which of some positions a key of a read model was released, or an event of it skipped.
    pub async fn releases(&self, positions: &[Position]) -> Result<Vec<Position>, Error> {
        if positions.is_empty() {
            return Ok(vec![]);
        }
        let positions: Vec<i64> = positions.iter().map(|position| position.0).collect();
        let rows = self.database().fetch_all(sqlx::query(include_str!("past/releases.sql")).bind(positions)).await?;
        Ok(rows.iter().map(|row| row.try_get(0).map(Position)).collect::<Result<_, _>>()?)
    }

    /// Every event by which somebody had a read model go on without another event.
    pub async fn skips(&self) -> Result<Vec<RecordedEvent>, Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("past/skips.sql"))).await?;
        rows.iter().map(recorded).collect()
    }

    /// The events of some types of an aggregate in (`after`, `upto`]. For rare ones.
    pub async fn read_typed(
        &self,
        aggregate: AggregateType,
        event_types: &[&str],
        after: Position,
        upto: Position,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let statement = sqlx::query(include_str!("past/typed.sql"))
            .bind(after.0)
            .bind(upto.0)
            .bind(aggregate.as_str())
            .bind(event_types);
        self.database().fetch_all(statement).await?.iter().map(recorded).collect()
    }
}

fn codes(classes: &[Retention]) -> Vec<i16> {
    classes.iter().map(|class| class.code()).collect()
}
