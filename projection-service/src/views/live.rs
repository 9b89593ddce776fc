use std::sync::Arc;

use async_trait::async_trait;
use schema::log::{Generation, Position};
use schema::view::{Error, FeedStart, Reached, TableFeed, ViewBatch, ViewFeed};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::{Published, Views};

/// Reads the tables until nothing is left in them, then takes what the worker publishes, as long as each batch follows on
/// what was delivered. Whatever does not, a lag, another worker's partitions, a new generation, leads back to the tables.
pub(super) struct LiveFeed {
    live: broadcast::Receiver<Arc<Published>>,
    whole: watch::Receiver<bool>,
    tables: TableFeed,
    reading_tables: bool,
    /// Up to where everything was delivered; none before the first batch.
    at: Option<(Generation, Position)>,
    /// Without it the channels would be closed.
    _views: Views,
}

impl LiveFeed {
    pub fn new(views: &Views, start: FeedStart) -> Self {
        Self {
            // Before the first look at the tables, so that nothing falls between.
            live: views.0.live.subscribe(),
            whole: views.0.whole.subscribe(),
            tables: views.0.tables.feed(start),
            reading_tables: true,
            at: None,
            _views: views.clone(),
        }
    }

    fn take(&mut self, batch: ViewBatch) -> ViewBatch {
        self.at = Some((batch.generation, batch.upto));
        batch
    }

    fn read_tables(&mut self) {
        if let Some((generation, position)) = self.at {
            self.tables.go_on_from(Reached { generation, position });
        }
        self.reading_tables = true;
    }

    /// What is to be delivered of a published batch.
    fn follow_on(&mut self, published: &Published) -> Option<ViewBatch> {
        let Some((generation, position)) = self.at else {
            self.read_tables();
            return None;
        };
        if published.generation == generation && published.upto <= position {
            return None;
        }
        if published.generation != generation || !published.whole || published.after > position {
            self.read_tables();
            return None;
        }
        Some(self.take(ViewBatch { generation, upto: published.upto, rows: published.rows.clone() }))
    }
}

#[async_trait]
impl ViewFeed for LiveFeed {
    async fn next(&mut self) -> Result<ViewBatch, Error> {
        loop {
            if self.reading_tables {
                match self.tables.look().await? {
                    Some(batch) => return Ok(self.take(batch)),
                    None => self.reading_tables = false,
                }
            }
            let whole = *self.whole.borrow_and_update();
            tokio::select! {
                biased;
                published = self.live.recv() => match published {
                    Ok(published) => {
                        if let Some(batch) = self.follow_on(&published) {
                            return Ok(batch);
                        }
                    }
                    Err(RecvError::Lagged(_) | RecvError::Closed) => self.read_tables(),
                },
                _ = self.whole.changed() => self.read_tables(),
                () = self.tables.noticed(), if !whole => self.reading_tables = true,
            }
        }
    }
}
