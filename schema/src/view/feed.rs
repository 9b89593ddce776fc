use std::sync::Arc;

use async_trait::async_trait;

use super::row::RowChange;
use crate::log::{Generation, Position};

/// Rows that have changed, each in its newest state, and how far the read models are now.
#[derive(Debug, Clone)]
pub struct ViewBatch {
    pub generation: Generation,
    /// Every change up to here has been delivered.
    pub upto: Position,
    /// In the order of their positions.
    pub rows: Vec<Arc<RowChange>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the read models can't be read")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Changes of rows after a position, whole and at least once: a consumer drops what is not newer than what it has.
#[async_trait]
pub trait ViewFeed: Send {
    /// Waits until there is something to say: changed rows, or that the position has moved.
    async fn next(&mut self) -> Result<ViewBatch, Error>;
}
