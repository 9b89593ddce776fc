use std::sync::Arc;

use async_trait::async_trait;

use super::Error;
use super::row::RowChange;
use crate::log::{Generation, Position};

/// Rows that have changed, each in its newest state, and how far the read models are now.
#[derive(Debug, Clone)]
pub struct ViewBatch {
    /// On another one than before, what was delivered may have been lost from the log, and `upto` may lie further back:
    /// what is held is to be read anew.
    pub generation: Generation,
    /// Every change up to here has been delivered. It stays where it was while a batch too large for one is delivered in
    /// parts. Rows may be newer.
    pub upto: Position,
    /// In the order of their positions.
    pub rows: Vec<Arc<RowChange>>,
}

/// Changes of rows after a position, whole and at least once: a consumer drops what is not newer than what it has.
#[async_trait]
pub trait ViewFeed: Send {
    /// Waits until there is something to say: changed rows, or that the position has moved. Cancel safe: what was not
    /// answered comes again.
    ///
    /// # Errors
    /// When the tables can't be read. The feed stays where it is, and may be asked again.
    async fn next(&mut self) -> Result<ViewBatch, Error>;
}

/// Where a feed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStart {
    /// With what changes from now on. The first batch comes at once, without rows, and says where "now" is.
    Now,
    /// With every row that was changed after a position.
    After(Position),
}

/// Where feeds come from: the projections of this process, or the tables that another process writes.
pub trait ViewFeeds: Send + Sync {
    fn follow(&self, start: FeedStart) -> Box<dyn ViewFeed>;
}
