//! The feed for processes in which no projection runs: it reads what has changed from the tables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pool::Pool;
use sqlx::Row as _;
use tokio::sync::watch;

use super::{Error, ViewStore, changes, reached};
use crate::log::Position;
use crate::partition::PARTITION_COUNT;
use crate::view::feed::{FeedStart, ViewBatch, ViewFeed, ViewFeeds};
use crate::view::{Reached, RowChange};

/// What projection-service notifies after each commit.
const CHANNEL: &str = "coulomb_views";
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Rows of one batch; more come in parts.
const BATCH_ROWS_MAX: i64 = 1_000;

#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// Where to be notified, on a connection of its own; none, or no direct way to it: polling alone.
    pub listen: Option<Pool>,
    /// Without a notice, how often the tables are looked at.
    pub poll_every: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { listen: None, poll_every: Duration::from_millis(250) }
    }
}

/// Feeds from the tables. One listening connection serves all of them; it ends with the last handle and feed.
#[derive(Debug, Clone)]
pub struct TableFeeds {
    store: ViewStore,
    poll_every: Duration,
    /// Changes with each notice; never, where nobody listens.
    notices: watch::Receiver<()>,
}

impl TableFeeds {
    /// Must be called inside a tokio runtime.
    pub fn new(store: ViewStore, options: FeedOptions) -> Self {
        let (noticed, notices) = watch::channel(());
        if let Some(pool) = options.listen.filter(|pool| pool.direct().is_some()) {
            tokio::spawn(async move {
                tokio::select! {
                    () = listen(pool, &noticed) => {}
                    () = noticed.closed() => {}
                }
            });
        }
        Self { store, poll_every: options.poll_every, notices }
    }

    /// [`ViewFeeds::follow`], as its own type.
    pub fn feed(&self, start: FeedStart) -> TableFeed {
        TableFeed {
            feeds: self.clone(),
            notices: self.notices.clone(),
            cursor: match start {
                FeedStart::Now => None,
                FeedStart::After(position) => Some(Cursor::at(position)),
            },
        }
    }
}

impl ViewFeeds for TableFeeds {
    fn follow(&self, start: FeedStart) -> Box<dyn ViewFeed> {
        Box::new(self.feed(start))
    }
}

async fn listen(pool: Pool, noticed: &watch::Sender<()>) {
    loop {
        if let Err(error) = listen_once(&pool, noticed).await {
            tracing::warn!(%error, "no notices from the read models; polling");
        }
        tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
    }
}

async fn listen_once(pool: &Pool, noticed: &watch::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = pool.listen(CHANNEL).await?;
    loop {
        // At the start, for what came before we listened.
        noticed.send_replace(());
        // None: the connection was lost and has been opened anew; what was notified in between was not heard.
        let _ = listener.try_recv().await?;
    }
}

/// A feed from the tables.
pub struct TableFeed {
    feeds: TableFeeds,
    notices: watch::Receiver<()>,
    /// None before the first look of a feed that begins now.
    cursor: Option<Cursor>,
}

/// What has been delivered.
#[derive(Debug)]
struct Cursor {
    reached: Option<Reached>,
    upto: Position,
    /// Of each partition. One whose worker is behind does not make others' rows come again.
    partitions: Vec<i64>,
    /// Under way with more rows than fit into a batch.
    part: Option<Part>,
}

#[derive(Debug)]
struct Part {
    /// Up to where rows have been delivered, whatever their partition.
    delivered: Position,
    /// Where the tables were when it began: true of what was delivered only when all is, since a row that is changed
    /// meanwhile moves to the end.
    reached: Reached,
    partitions: Vec<i64>,
}

impl Cursor {
    fn at(position: Position) -> Self {
        Self { reached: None, upto: position, partitions: vec![position.0; usize::from(PARTITION_COUNT)], part: None }
    }
}

impl TableFeed {
    /// Everything up to here was delivered from elsewhere: go on from there.
    pub fn go_on_from(&mut self, reached: Reached) {
        self.cursor = Some(Cursor { reached: Some(reached), ..Cursor::at(reached.position) });
    }

    /// Waits until it is time for another [`look`](Self::look). Cancel safe.
    pub async fn noticed(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(self.feeds.poll_every) => {}
            Ok(()) = self.notices.changed() => {}
        }
    }

    /// What has changed, in one statement; none if nothing has. For those who wait for something else besides.
    pub async fn look(&mut self) -> Result<Option<ViewBatch>, Error> {
        // Marked as seen before the look, so that what comes after it wakes us.
        self.notices.borrow_and_update();
        let store = &self.feeds.store;
        let Some(cursor) = &mut self.cursor else {
            let reached = store.reached().await?;
            self.cursor = Some(Cursor { reached: Some(reached), ..Cursor::at(reached.position) });
            return Ok(Some(ViewBatch { generation: reached.generation, upto: reached.position, rows: vec![] }));
        };
        let lowest = cursor.partitions.iter().copied().min().unwrap_or_default();
        let delivered = cursor.part.as_ref().map_or(i64::MIN, |part| part.delivered.0);
        let statement = sqlx::query(include_str!("changed.sql"))
            .bind(&cursor.partitions)
            .bind(delivered)
            .bind(lowest)
            .bind(BATCH_ROWS_MAX);
        let answer = store.fetch_all(statement).await?;
        let first = answer.first().ok_or(sqlx::Error::RowNotFound)?;
        let now = reached(first)?;
        let partitions: Vec<i64> = first.try_get(9)?;
        let mut rows: Vec<Arc<RowChange>> = changes(&answer)?;
        rows.sort_by_key(|row| row.position);
        Ok(cursor.take(now, partitions, rows))
    }
}

impl Cursor {
    fn take(&mut self, now: Reached, partitions: Vec<i64>, mut rows: Vec<Arc<RowChange>>) -> Option<ViewBatch> {
        if self.reached.is_some_and(|before| before.generation != now.generation) {
            // Positions of another history say nothing of this one.
            *self = Self { reached: Some(now), partitions, ..Self::at(now.position) };
            return Some(ViewBatch { generation: now.generation, upto: now.position, rows: vec![] });
        }
        let full = rows.len() as i64 >= BATCH_ROWS_MAX;
        if let Some(last) = rows.last().map(|row| row.position).filter(|_| full) {
            // An event changes several rows: those of the last one may not all be here.
            rows.retain(|row| row.position < last);
        }
        let (reached, partitions) = match self.part.take() {
            Some(part) => (part.reached, part.partitions),
            None => (now, partitions),
        };
        if let Some(last) = rows.last().filter(|_| full) {
            self.part = Some(Part { delivered: last.position, reached, partitions });
            return Some(ViewBatch { generation: reached.generation, upto: self.upto, rows });
        }
        let moved = self.reached != Some(reached);
        self.reached = Some(reached);
        self.upto = reached.position;
        self.partitions = partitions;
        (moved || !rows.is_empty()).then_some(ViewBatch { generation: reached.generation, upto: self.upto, rows })
    }
}

#[async_trait]
impl ViewFeed for TableFeed {
    async fn next(&mut self) -> Result<ViewBatch, Error> {
        loop {
            if let Some(batch) = self.look().await? {
                return Ok(batch);
            }
            self.noticed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::id::{PlanId, TenantId};
    use domain::plan::Plan;

    use super::*;
    use crate::log::Generation;
    use crate::partition::Partition;
    use crate::view::{PlanRow, Row};

    fn row(position: i64) -> Arc<RowChange> {
        let row = PlanRow {
            tenant_id: TenantId::DEFAULT,
            plan_id: PlanId::default(),
            plan: Plan::default(),
            published_at: DateTime::UNIX_EPOCH,
        };
        Arc::new(RowChange {
            key: position.to_string(),
            partition: Partition::new(0).unwrap(),
            generation: Generation::FIRST,
            position: Position(position),
            removed: false,
            row: Row::Plans(Box::new(row)),
        })
    }

    fn reached(position: i64) -> Reached {
        Reached { generation: Generation::FIRST, position: Position(position) }
    }

    fn all_at(position: i64) -> Vec<i64> {
        vec![position; usize::from(PARTITION_COUNT)]
    }

    #[test]
    fn what_does_not_fit_comes_in_parts_and_only_the_last_says_how_far_it_is() {
        let mut cursor = Cursor::at(Position(10));
        // The last event changed two rows, of which one did not fit any more.
        let full: Vec<_> = (1..=BATCH_ROWS_MAX).map(|n| row(10 + n)).collect();
        let first = cursor.take(reached(2_000), all_at(2_000), full).unwrap();
        assert_eq!((first.upto, first.rows.len() as i64), (Position(10), BATCH_ROWS_MAX - 1));
        assert_eq!(cursor.part.as_ref().unwrap().delivered, Position(10 + BATCH_ROWS_MAX - 1));

        // While the second part was read, a row went on past where the tables were at the first.
        let last = cursor.take(reached(2_100), all_at(2_100), vec![row(1_500), row(2_050)]).unwrap();
        assert_eq!((last.upto, last.rows.len()), (Position(2_000), 2));
        assert_eq!(cursor.partitions, all_at(2_000));
        assert!(cursor.part.is_none());
    }

    #[test]
    fn another_generation_begins_anew_where_it_is() {
        let mut cursor = Cursor::at(Position(10));
        cursor.take(reached(20), all_at(20), vec![]).unwrap();
        let promoted = Reached { generation: Generation(2), position: Position(15) };
        let batch = cursor.take(promoted, all_at(15), vec![row(22)]).unwrap();
        assert_eq!((batch.generation, batch.upto, batch.rows.len()), (Generation(2), Position(15), 0));
        assert_eq!((cursor.upto, &cursor.partitions), (Position(15), &all_at(15)));
    }

    #[test]
    fn it_says_that_the_position_moved_and_says_nothing_when_it_did_not() {
        let mut cursor = Cursor::at(Position(10));
        assert_eq!(cursor.take(reached(20), all_at(20), vec![]).map(|batch| batch.upto), Some(Position(20)));
        assert!(cursor.take(reached(20), all_at(20), vec![]).is_none());
    }
}
