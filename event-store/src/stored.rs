//! The log as it is stored, undecoded and filtered by the server: for who shows, exports or archives it.

use domain::event::AggregateType;
use schema::log::{Position, StreamId};
use schema::partition::partition;
use schema::stored::StoredEvent;
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;
use crate::archived::Wanted;
use crate::read::Error;

/// Positions that one statement looks over: what is filtered out costs the server little.
pub const LOOK_POSITIONS_MAX: i64 = 50_000;
/// Events that one statement answers.
pub const LOOK_EVENTS_MAX: i64 = 5_000;

const FORWARDS: &str =
    concat!(include_str!("archived/detached.sql"), include_str!("stored/range.sql"), "ORDER BY position LIMIT $8)");
const BACKWARDS: &str = concat!(
    include_str!("archived/detached.sql"),
    include_str!("stored/range.sql"),
    "ORDER BY position DESC LIMIT $8)"
);

/// Which events are wanted. An empty list: all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub aggregates: Vec<AggregateType>,
    pub event_types: Vec<String>,
    /// The stream's id.
    pub stream: Option<Uuid>,
    pub partition_key: Option<Uuid>,
}

/// Some of the events that were asked for.
#[derive(Debug, Clone)]
pub struct Look {
    pub events: Vec<StoredEvent>,
    /// All that was asked for up to here is in `events`. Backwards: all after here.
    pub upto: Position,
}

impl EventStore {
    /// Wanted events after `after`, in the order of positions, looking no further than `upto`: at most
    /// [`LOOK_EVENTS_MAX`], over at most [`LOOK_POSITIONS_MAX`] positions.
    pub async fn look(&self, after: Position, upto: Position, filter: &Filter) -> Result<Look, Error> {
        let end = Position(upto.0.min(after.0.saturating_add(LOOK_POSITIONS_MAX)));
        let mut events = self.looked(FORWARDS, after, end, filter).await?;
        events.truncate(LOOK_EVENTS_MAX as usize);
        let upto = match events.last() {
            Some(last) if events.len() as i64 == LOOK_EVENTS_MAX => last.position,
            _ => end,
        };
        Ok(Look { events, upto })
    }

    /// The same backwards from `upto`, the newest first, looking no further back than `after`.
    pub async fn look_back(&self, after: Position, upto: Position, filter: &Filter) -> Result<Look, Error> {
        let start = Position(after.0.max(upto.0.saturating_sub(LOOK_POSITIONS_MAX)));
        let mut events = self.looked(BACKWARDS, start, upto, filter).await?;
        events.reverse();
        events.truncate(LOOK_EVENTS_MAX as usize);
        let upto = match events.last() {
            Some(first) if events.len() as i64 == LOOK_EVENTS_MAX => Position(first.position.0 - 1),
            _ => start,
        };
        Ok(Look { events, upto })
    }

    /// In the order of positions, and what archives have with it.
    async fn looked(
        &self,
        sql: &'static str,
        after: Position,
        upto: Position,
        filter: &Filter,
    ) -> Result<Vec<StoredEvent>, Error> {
        let Filter { aggregates, event_types, stream, partition_key } = filter;
        let keep = |event: &StoredEvent| {
            let of = |aggregate: &AggregateType| aggregate.as_str() == event.aggregate_type;
            (aggregates.is_empty() || aggregates.iter().any(of))
                && (event_types.is_empty() || event_types.contains(&event.event_type))
                && stream.is_none_or(|id| id == event.aggregate_id)
                && partition_key.is_none_or(|key| key == event.partition_key)
        };
        let of_one = match (stream, aggregates.as_slice()) {
            (Some(id), [aggregate]) => Some(StreamId { aggregate: *aggregate, id: *id }),
            _ => None,
        };
        let aggregates: Vec<&str> = aggregates.iter().map(|aggregate| aggregate.as_str()).collect();
        let statement = sqlx::query(sql)
            .bind(after.0)
            .bind(upto.0)
            .bind(partition_key.map(|key| i16::from(partition(key).number())))
            .bind(*partition_key)
            .bind((!aggregates.is_empty()).then_some(aggregates))
            .bind((!event_types.is_empty()).then_some(event_types))
            .bind(stream.map(|id| id.to_string()))
            .bind(LOOK_EVENTS_MAX);
        let wanted = Wanted { classes: None, stream: of_one };
        self.some(statement, (after, upto), wanted, keep).await
    }

    /// What has a stream of this id. Of an aggregate that is not known, the log can be looked at by position only.
    pub async fn streams_of(&self, id: Uuid) -> Result<Vec<AggregateType>, Error> {
        let statement = sqlx::query("SELECT type, last_position FROM streams WHERE id = $1 ORDER BY first_position");
        let rows = self.database().fetch_all(statement.bind(id)).await?;
        let mut known = vec![];
        let mut unknown = None;
        for row in &rows {
            let name: &str = row.try_get(0)?;
            match AggregateType::parse(name) {
                Some(aggregate) => known.push(aggregate),
                None => {
                    unknown = Some(Error::UnknownAggregate { name: name.to_owned(), last: Position(row.try_get(1)?) })
                }
            }
        }
        match unknown {
            Some(error) if known.is_empty() => Err(error),
            _ => Ok(known),
        }
    }

    /// The streams of disclosures, the oldest first: there are few, and they have an index of their own (migration 0510).
    pub async fn disclosures(&self) -> Result<Vec<Uuid>, Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("stored/disclosures.sql"))).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// The events of one stream after a sequence, at most [`LOOK_EVENTS_MAX`].
    pub async fn look_at_stream(
        &self,
        aggregate: AggregateType,
        id: Uuid,
        after_sequence: i64,
    ) -> Result<Vec<StoredEvent>, Error> {
        self.stream_page(StreamId { aggregate, id }, after_sequence, i64::MAX, LOOK_EVENTS_MAX).await
    }
}
