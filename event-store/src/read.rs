//! Reading the log: in short transactions over position ranges, since one snapshot held open makes every append dearer.

mod piece;

use std::collections::{BTreeSet, HashSet};

use domain::event::AggregateType;
use schema::log::{Generation, Position, RecordedEvent, StreamId};
use schema::partition::Partition;
use schema::stored::StoredEvent;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::EventStore;
use crate::archived::{ARCHIVE_POSITIONS, ArchiveError, Wanted, decoded_stored};
use crate::partitions::PartitionSet;
use crate::row::EventRow;

/// Positions that one statement looks over.
pub const READ_POSITIONS_MAX: i64 = 10_000;
/// Events of a stream that one statement answers.
const STREAM_PAGE: i64 = 1_000;
/// Events that one statement looks up by their positions.
const READ_AT_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be reached")]
    Unavailable(#[from] sqlx::Error),
    #[error("the event at {position} has no {what} that can be read")]
    Corrupt { position: Position, what: &'static str },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(
        "events {first} to {last} of {stream} are neither in the log nor in an archive that it knows of: bring them back from a \
         backup"
    )]
    Gone { stream: StreamId, first: i64, last: i64 },
    #[error(
        "some events up to position {upto} are neither in the log nor in an archive that it knows of: bring them back from a \
         backup"
    )]
    NotKept { upto: Position },
    #[error(
        "it is a stream of {name}, which this program does not know: its last event is at {last}. Use a newer program, or look \
         at the log by position"
    )]
    UnknownAggregate { name: String, last: Position },
}

impl Error {
    /// Whether it may go well when it is tried again.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Archive(ArchiveError::Unreachable { .. }) => true,
            Self::Archive(ArchiveError::NotBuilt(_) | ArchiveError::Missing { .. } | ArchiveError::Altered { .. })
            | Self::Corrupt { .. }
            | Self::Gone { .. }
            | Self::NotKept { .. }
            | Self::UnknownAggregate { .. } => false,
        }
    }

    /// Whether it is of events that are not to be had, neither now nor when it is tried again.
    pub fn is_of_what_is_gone(&self) -> bool {
        match self {
            Self::Archive(ArchiveError::NotBuilt(_) | ArchiveError::Missing { .. } | ArchiveError::Altered { .. })
            | Self::Gone { .. }
            | Self::NotKept { .. } => true,
            Self::Archive(ArchiveError::Unreachable { .. })
            | Self::Unavailable(_)
            | Self::Corrupt { .. }
            | Self::UnknownAggregate { .. } => false,
        }
    }
}

/// A stretch of the log.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub events: Vec<RecordedEvent>,
    /// Everything that was asked for up to here is in `events`; positions between them are of others, or are dropped.
    pub upto: Position,
    pub generation: Generation,
}

impl EventStore {
    /// The end of the log.
    pub async fn head(&self) -> Result<(Position, Generation), Error> {
        let statement = sqlx::query("SELECT position, generation FROM log_head");
        let rows = self.database().fetch_all(statement).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (head, generation) = (Position(row.try_get(0)?), Generation(row.try_get(1)?));
        self.era().learn(generation);
        self.era().saw(generation, head);
        Ok((head, generation))
    }

    /// The events of some partitions after `from`, over at most `limit` positions ([`READ_POSITIONS_MAX`]), and over fewer where
    /// events are large.
    pub async fn read(&self, from: Position, limit: i64, partitions: PartitionSet) -> Result<Stretch, Error> {
        let (head, generation) = self.head().await?;
        let upto = Position(head.0.min(from.0.saturating_add(limit.clamp(1, READ_POSITIONS_MAX))));
        if upto <= from {
            return Ok(Stretch { events: vec![], upto: from, generation });
        }
        let upto = self.piece(from, upto).await?;
        let events = self.read_range(from, upto, partitions).await?;
        Ok(Stretch { events, upto, generation })
    }

    /// The events of some partitions in (`after`, `upto`], where `upto` is not above the head.
    async fn read_range(
        &self,
        after: Position,
        upto: Position,
        partitions: PartitionSet,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let bound = |sql, chosen: Option<Vec<i16>>| sqlx::query(sql).bind(after.0).bind(upto.0).bind(chosen);
        if partitions.is_all() {
            return self.whole(bound(include_str!("read/range.sql"), None), (after, upto)).await;
        }
        const CHOSEN: &str = concat!(include_str!("archived/detached.sql"), include_str!("read/range.sql"), ")");
        let chosen = partitions.iter().map(|p| i16::from(p.number())).collect();
        let keep = |event: &StoredEvent| Partition::new(event.partition).is_none_or(|own| partitions.contains(own));
        self.some(bound(CHOSEN, Some(chosen)), (after, upto), Wanted::default(), keep).await
    }

    /// The events at these positions, in their order; one that is not there is in nobody's answer.
    pub async fn read_at(&self, positions: &[Position]) -> Result<Vec<RecordedEvent>, Error> {
        let mut events = Vec::with_capacity(positions.len());
        for some in positions.chunks(READ_AT_MAX) {
            let numbers: Vec<i64> = some.iter().map(|position| position.0).collect();
            let rows = self.database().fetch_all(sqlx::query(include_str!("read/at.sql")).bind(numbers)).await?;
            let first = events.len();
            for row in &rows {
                events.push(recorded(row)?);
            }
            if rows.len() < some.len() {
                let found: HashSet<Position> =
                    events[first..].iter().map(|event: &RecordedEvent| event.position).collect();
                let missing = some.iter().filter(|position| !found.contains(position)).copied().collect();
                events.append(&mut self.archived_at(missing).await?);
                events[first..].sort_by_key(|event| event.position);
            }
        }
        Ok(events)
    }

    /// Of events that the log doesn't have, those that archives have: asked for in spans, since an archive answers one event as
    /// slowly as all that stand around it.
    async fn archived_at(&self, mut positions: BTreeSet<Position>) -> Result<Vec<RecordedEvent>, Error> {
        let detached = self.detached_ranges().await?;
        let mut events = vec![];
        while let Some(&first) = positions.first() {
            let farther = positions.split_off(&Position(first.0.saturating_add(ARCHIVE_POSITIONS)));
            let span = (Position(first.0 - 1), positions.last().copied().unwrap_or(first));
            let wanted = |event: &StoredEvent| positions.contains(&event.position);
            for event in self.archived(&detached, Wanted::default(), span, wanted).await? {
                events.push(decoded_stored(&event)?);
            }
            positions = farther;
        }
        Ok(events)
    }

    /// The events of one stream from a sequence on, all of them.
    pub async fn read_stream(&self, stream: StreamId, from_sequence: i64) -> Result<Vec<RecordedEvent>, Error> {
        let mut events = Vec::new();
        let mut after = from_sequence.saturating_sub(1);
        loop {
            let mut page: Vec<RecordedEvent> = self.stream_page(stream, after, i64::MAX, STREAM_PAGE).await?;
            let full = page.len() as i64 == STREAM_PAGE;
            events.append(&mut page);
            match events.last() {
                Some(last) if full => after = last.sequence,
                _ => return Ok(events),
            }
        }
    }

    /// Each partition of an aggregate type's streams is read by its own feed; this is for one type over all of them.
    pub async fn read_aggregates(
        &self,
        from: Position,
        limit: i64,
        aggregates: &[AggregateType],
    ) -> Result<Stretch, Error> {
        let mut stretch = self.read(from, limit, PartitionSet::ALL).await?;
        stretch.events.retain(|event| aggregates.contains(&event.stream.aggregate));
        Ok(stretch)
    }
}

/// A row of the columns that `read/*.sql` name, in their order.
pub(crate) fn recorded(row: &PgRow) -> Result<RecordedEvent, Error> {
    EventRow::of(row)?.recorded()
}
