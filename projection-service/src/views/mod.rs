//! The read models, for readers in the process that writes them.

mod live;

use std::sync::Arc;
use std::time::Duration;

use pool::Pool;
use schema::log::{Generation, Position};
use schema::view::{FeedStart, NotReached, Progress, Reached, RowChange, TableFeeds, ViewFeed, ViewFeeds, ViewStore};
use tokio::sync::{broadcast, watch};

use crate::config::Config;

use live::LiveFeed;

/// Batches kept for feeds that lag; a feed that lags further reads the tables.
const LIVE_BATCHES_MAX: usize = 64;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A committed batch.
#[derive(Debug)]
pub(crate) struct Published {
    /// Where the worker was before it.
    pub after: Position,
    pub upto: Position,
    pub generation: Generation,
    /// In the order of their positions.
    pub rows: Vec<Arc<RowChange>>,
    /// The rows are all that changed between `after` and `upto`: no partition is another worker's, or was ahead.
    pub whole: bool,
}

/// The handle of readers. Cheap to clone.
#[derive(Clone)]
pub struct Views(Arc<Inner>);

struct Inner {
    store: ViewStore,
    tables: TableFeeds,
    live: broadcast::Sender<Arc<Published>>,
    /// Whether the worker of this process has all partitions, so that what it publishes is all there is.
    whole: watch::Sender<bool>,
    progress: Progress,
}

impl Views {
    pub(crate) fn new(config: &Config, pool: Pool) -> Self {
        let store = ViewStore::new(pool);
        let (live, _) = broadcast::channel(LIVE_BATCHES_MAX);
        Self(Arc::new(Inner {
            tables: TableFeeds::new(store.clone(), config.feed.clone()),
            store,
            live,
            whole: watch::Sender::new(false),
            progress: Progress::new(Reached { generation: Generation::FIRST, position: Position::START }),
        }))
    }

    /// The tables.
    pub fn tables(&self) -> &ViewStore {
        &self.0.store
    }

    /// How far the read models are, to wait on.
    pub fn progress(&self) -> &Progress {
        &self.0.progress
    }

    /// Waits until the read models contain everything up to a position.
    ///
    /// # Errors
    /// When they don't within the time.
    pub async fn wait_until(&self, position: Position, at_most: Duration) -> Result<Reached, NotReached> {
        self.0.progress.wait_until(position, at_most).await
    }

    /// Keeps the progress up while partitions are other processes' work. Never ends.
    pub(crate) async fn keep_progress(&self) {
        let mut feed = self.follow(FeedStart::Now);
        loop {
            match feed.next().await {
                Ok(batch) => {
                    self.0.progress.advance(Reached { generation: batch.generation, position: batch.upto });
                }
                Err(error) => {
                    tracing::debug!(%error, "the read models can't be followed");
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// From the worker, after a commit.
    pub(crate) fn publish(&self, published: Published) {
        if published.whole {
            let reached = Reached { generation: published.generation, position: published.upto };
            self.0.progress.advance(reached);
        }
        // An error says that nobody follows.
        let _ = self.0.live.send(Arc::new(published));
    }

    pub(crate) fn set_whole(&self, whole: bool) {
        self.0.whole.send_if_modified(|was| std::mem::replace(was, whole) != whole);
    }
}

/// Feeds that get what the worker of this process commits straight from it, and read the tables for the rest.
impl ViewFeeds for Views {
    fn follow(&self, start: FeedStart) -> Box<dyn ViewFeed> {
        Box::new(LiveFeed::new(self, start))
    }
}
