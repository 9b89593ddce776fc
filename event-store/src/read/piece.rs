//! Reading the log in pieces of which each is decoded at once: bounded in bytes, and not in positions alone, since an event may be
//! as large as thousands of others.

use std::sync::Arc;

use schema::log::{Position, RecordedEvent};
use sqlx::Row;

use super::{Error, READ_POSITIONS_MAX};
use crate::EventStore;
use crate::archived::FromRow;
use crate::row::EventRow;
use crate::tail::Stretch;

/// About what the events of a piece take, as they are stored.
const PIECE_BYTES: i64 = 8 * 1024 * 1024;
/// So few are read without asking how large they are.
const FEW_POSITIONS: i64 = 32;

/// An event, and how large its payload and metadata are.
struct Weighed {
    event: RecordedEvent,
    bytes: usize,
}

impl FromRow for Weighed {
    fn from_row(row: &EventRow<'_>) -> Result<Self, Error> {
        Ok(Self { event: row.recorded()?, bytes: row.payload.len() + row.metadata.len() })
    }

    fn position(&self) -> Position {
        self.event.position
    }

    fn sequence(&self) -> i64 {
        self.event.sequence
    }
}

impl EventStore {
    /// Up to where the log may be read at once after a position: not above `upto`, and at least one position.
    pub(super) async fn piece(&self, after: Position, upto: Position) -> Result<Position, Error> {
        let upto = Position(upto.0.min(after.0 + READ_POSITIONS_MAX));
        if upto.0 - after.0 <= FEW_POSITIONS {
            return Ok(upto);
        }
        let statement = sqlx::query(include_str!("piece.sql")).bind(after.0).bind(upto.0).bind(PIECE_BYTES);
        let rows = self.database().fetch_all(statement).await?;
        let end: Option<i64> = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        Ok(end.map_or(upto, Position))
    }

    /// The first piece of (`after`, `upto`], for the ring. `upto` is above `after`, and not above the head.
    pub(crate) async fn read_piece(&self, after: Position, upto: Position) -> Result<Stretch, Error> {
        let upto = self.piece(after, upto).await?;
        let statement = sqlx::query(include_str!("range.sql")).bind(after.0).bind(upto.0).bind(None::<Vec<i16>>);
        let weighed: Vec<Weighed> = self.whole(statement, (after, upto)).await?;
        let bytes = weighed.iter().map(|of| of.bytes).sum();
        let events = weighed.into_iter().map(|of| Arc::new(of.event)).collect();
        Ok(Stretch { after, upto, events, bytes })
    }
}
