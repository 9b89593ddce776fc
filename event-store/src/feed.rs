//! Following the log. Consumers know these traits and nothing of what is behind them: Postgres, or Kafka with Postgres behind it.

use std::sync::Arc;

use async_trait::async_trait;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;

use crate::partitions::PartitionSet;

/// Where the events come from.
pub trait Log: Send + Sync {
    /// Follows some partitions, from after a position on.
    fn follow(&self, partitions: PartitionSet, from: From) -> Box<dyn Feed>;

    /// Follows what edges need ([`STATION_COMMANDS`](schema::topics::STATION_COMMANDS)), from after a position on. Its events are
    /// in the order of positions within each partition, which is to say for each charger, and not between them.
    fn follow_commands(&self, from: Position) -> Box<dyn Feed>;
}

/// After which position a follower begins.
#[derive(Debug, Clone)]
pub enum From {
    /// All its partitions after one position.
    Position(Position),
    /// Each after its own; one that isn't named from the start.
    Cursors(Vec<(Partition, Position)>),
}

#[async_trait]
pub trait Feed: Send {
    /// The next events, in the order of their positions, each once. Waits for one, or for `upto` to move. Cancel safe:
    /// what was not answered comes again.
    async fn next(&mut self) -> Result<FeedBatch, Error>;
}

#[derive(Debug, Clone)]
pub struct FeedBatch {
    pub events: Vec<Arc<RecordedEvent>>,
    /// Everything of the followed partitions up to here has been delivered. It also moves when nothing of them came.
    pub upto: Position,
    pub generation: Generation,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be read")]
    Read(#[from] crate::read::Error),
    /// The log was restored to before this: what the follower has may not be part of it. It must rewind.
    #[error("the follower is at {from}, the log of generation {generation:?} ends at {head}")]
    AheadOfLog { from: Position, head: Position, generation: Generation },
    /// The log has become another generation while it was followed. The follower must rewind to where the two fork.
    #[error("the log became generation {is:?}, at {head}; it was {was:?}")]
    OtherGeneration { was: Generation, is: Generation, head: Position },
    #[error("the store is shut down")]
    Closed,
}
