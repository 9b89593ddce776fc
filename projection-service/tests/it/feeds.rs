//! Who follows a feed ends with what the tables hold, whatever happens to the workers.

use std::sync::Arc;
use std::time::Duration;

use event_store::EventStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use read_models::Rows;
use read_models::testing::Network;
use schema::log::Position;
use schema::view::{FeedOptions, FeedStart, TableFeeds, ViewFeed, ViewFeeds, ViewStore};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Process, assert_same, contained, empty, grow, store_options, tables};

/// A consumer: it drops what is not newer than what it has.
struct Follower {
    rows: Rows,
    upto: Position,
}

impl Follower {
    async fn follow(mut self, mut feed: Box<dyn ViewFeed>, until: Position) -> Self {
        let following = async {
            while self.upto < until {
                let Ok(batch) = feed.next().await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                assert!(batch.upto >= self.upto, "upto went from {} back to {}", self.upto, batch.upto);
                self.upto = batch.upto;
                for row in batch.rows {
                    let slot = (row.row.model(), row.key.clone());
                    if self.rows.get(&slot).is_none_or(|present| present.position < row.position) {
                        self.rows.insert(slot, row.as_ref().clone());
                    }
                }
            }
        };
        if tokio::time::timeout(PATIENCE, following).await.is_err() {
            panic!("a follower stays at {}, before {until}", self.upto);
        }
        self
    }
}

fn follow(feeds: &dyn ViewFeeds, from: Position, rows: Rows, until: Position) -> JoinHandle<Follower> {
    let feed = feeds.follow(FeedStart::After(from));
    tokio::spawn(Follower { rows, upto: from }.follow(feed, until))
}

#[tokio::test]
async fn followers_end_with_what_the_tables_hold() {
    for seed in [11, 12] {
        println!("seed {seed}");
        let database = empty().await;
        let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
        let views = ViewStore::new(database.pool().clone());
        let polled = FeedOptions { listen: None, poll_every: Duration::from_millis(20) };
        let polled = TableFeeds::new(views.clone(), polled);
        let noticed = FeedOptions { listen: Some(database.pool().into()), poll_every: Duration::from_millis(500) };
        let noticed = TableFeeds::new(views.clone(), noticed);
        let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));

        let stays = Process::start(database.url(), "stays");
        let middle = grow(&store, &mut network, 1_000).await;
        // More than one batch of a feed holds, for who begins now.
        let early = [
            follow(&polled, Position::START, Rows::new(), middle),
            follow(&noticed, Position::START, Rows::new(), middle),
            follow(&stays.views, Position::START, Rows::new(), middle),
        ];
        let mut had = vec![];
        for follower in early {
            had.push(follower.await.unwrap());
        }
        // From here on a second process takes half of the partitions, loses them, and takes them again.
        let target = Position(middle.0 + 1_500);
        let feeds: [&dyn ViewFeeds; 3] = [&polled, &noticed, &stays.views];
        let late: Vec<_> =
            had.into_iter().zip(feeds).map(|(had, from)| follow(from, had.upto, had.rows, target)).collect();
        let mut other = None;
        let mut position = middle;
        while position < target {
            position = grow(&store, &mut network, rng.random_range(1..120)).await;
            match rng.random_range(0..4) {
                0 => other = Some(Process::start(database.url(), "comes and goes")),
                1 => other = None,
                2 => stays.disconnect(database.pool()).await,
                _ => contained(&views, position).await,
            }
        }
        drop(other);
        contained(&views, position).await;
        // What came last is still on its way to those who were satisfied with the target.
        let expected = tables(&views).await;
        for (follower, from) in late.into_iter().zip(feeds) {
            let follower = follower.await.unwrap();
            let follower = follow(from, follower.upto, follower.rows, position).await.unwrap();
            assert_same(&follower.rows, &expected, seed);
        }
        let waited = stays.views.wait_until(position, PATIENCE).await.unwrap();
        assert!(waited.position >= position);
    }
}

#[tokio::test]
async fn a_feed_that_begins_now_says_where_that_is() {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone());
    let mut network = Network::new(1);
    let process = Process::start(database.url(), "worker");
    let head = grow(&store, &mut network, 50).await;
    contained(&views, head).await;
    let feeds: [Arc<dyn ViewFeeds>; 2] =
        [Arc::new(process.views.clone()), Arc::new(TableFeeds::new(views, FeedOptions::default()))];
    for feeds in feeds {
        let mut feed = feeds.follow(FeedStart::Now);
        let first = feed.next().await.unwrap();
        let (head, _) = store.head().await.unwrap();
        assert_eq!((first.upto, first.rows.len()), (head, 0));
        let position = grow(&store, &mut network, 1).await;
        let mut rows = vec![];
        loop {
            let batch = feed.next().await.unwrap();
            rows.extend(batch.rows);
            if batch.upto >= position {
                break;
            }
        }
        assert!(rows.iter().all(|row| row.position > first.upto) && !rows.is_empty());
    }
}
