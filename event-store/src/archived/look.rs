//! Where archived events lie: in time, and in their streams.

use chrono::{DateTime, Utc};
use schema::log::{Position, StreamId};
use sqlx::Row;

use super::known::{ARCHIVE_POSITIONS, Wanted};
use super::{ArchivedRange, has};
use crate::EventStore;
use crate::read::Error;

impl EventStore {
    /// The last position that was recorded at a time or before it, where `kept` is the last such one that the log has: what
    /// comes between it and the next one in the log is in archives.
    pub(crate) async fn archived_position_at(
        &self,
        detached: &[ArchivedRange],
        kept: Position,
        time: DateTime<Utc>,
    ) -> Result<Position, Error> {
        if !has(detached, Position(kept.0 + 1)) {
            return Ok(kept);
        }
        let next = sqlx::query(include_str!("../past/next.sql")).bind(kept.0);
        let rows = self.database().fetch_all(next).await?;
        let next: i64 = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        // After the look at what comes next: a range may have gone in between.
        let detached = self.detached_ranges().await?;
        let mut at = kept;
        while at.0 < next - 1 {
            let to = Position((next - 1).min(at.0 + ARCHIVE_POSITIONS));
            let events = self.archived(&detached, Wanted::default(), (at, to), |_| true).await?;
            match events.iter().rfind(|event| event.recorded_at <= time) {
                Some(last) if last.position == to => at = to,
                Some(last) => return Ok(last.position),
                None => return Ok(at),
            }
        }
        Ok(at)
    }

    /// When the event at a position was recorded that archives have; none: they don't.
    pub(crate) async fn archived_recorded_at(
        &self,
        detached: &[ArchivedRange],
        position: Position,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let span = (Position(position.0 - 1), position);
        let events = self.archived(detached, Wanted::default(), span, |_| true).await?;
        Ok(events.first().map(|event| event.recorded_at))
    }

    /// How long a stream was at a position, where `kept` is the sequence of its last event until then that the log has.
    pub(crate) async fn archived_length(&self, stream: StreamId, kept: i64, at: Position) -> Result<i64, Error> {
        let bounds = sqlx::query(include_str!("bounds.sql")).bind(stream.id).bind(stream.aggregate.as_str()).bind(kept);
        let Some(bounds) = self.database().fetch_optional(bounds).await? else { return Ok(kept) };
        let (from, last): (i64, i64) = (bounds.try_get(0)?, bounds.try_get(1)?);
        let detached = self.detached_ranges().await?;
        let mut to = at.0.min(last);
        while to > from {
            let below = from.max(to - ARCHIVE_POSITIONS);
            let span = (Position(below), Position(to));
            let events = self.archived(&detached, Wanted::stream(stream), span, |_| true).await?;
            if let Some(last) = events.last() {
                return Ok(kept.max(last.sequence));
            }
            to = below;
        }
        Ok(kept)
    }
}
