use std::collections::HashSet;

use event_store::feed::{Error, Feed, From, Log};
use event_store::{EventStore, PartitionSet, StoreOptions, Wake};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schema::log::{Generation, Position};
use schema::partition::Partition;

use crate::support::{PATIENCE, append, assert_sound, database, store, store_with, stream, write};

/// Reads up to a position, and checks the order on the way.
async fn take(feed: &mut dyn Feed, upto: Position) -> Vec<i64> {
    let mut seen = Vec::new();
    loop {
        let batch = tokio::time::timeout(PATIENCE, feed.next()).await.expect("the feed moves").expect("a batch");
        for event in &batch.events {
            assert!(event.position <= batch.upto);
            assert!(seen.last().is_none_or(|&last| last < event.position.0), "in order, each once");
            seen.push(event.position.0);
        }
        if batch.upto >= upto {
            return seen;
        }
    }
}

async fn append_some(store: &EventStore, streams: usize) {
    let appends = (0..streams).map(|_| store.append(append(vec![write(stream(), 0, 2)])));
    for outcome in futures_util::future::join_all(appends).await {
        outcome.expect("appended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_get_everything_once_whoever_appends_it() {
    let database = database().await;
    // Both wakes, and a ring so small that followers fall behind it.
    let small = StoreOptions { tail_events_max: 50, ..StoreOptions::default() };
    let polling = StoreOptions { wake: Wake::Poll, poll_every: std::time::Duration::from_millis(5), ..small.clone() };
    let lanes = StoreOptions { flushes_max: 3, ..small };
    let stores = [store_with(&database, lanes).await, store_with(&database, polling).await, store(&database).await];
    append_some(&stores[0], 40).await;
    let all = 80 + 3 * 10 * 20;
    let followers: Vec<_> = [0, 1, 2, 0, 1, 2]
        .into_iter()
        .map(|n| {
            let mut feed = stores[n].follow(PartitionSet::ALL, From::Position(Position::START));
            tokio::spawn(async move { take(feed.as_mut(), Position(all)).await })
        })
        .collect();
    let writers = stores.iter().map(|store| async move {
        for _ in 0..10 {
            append_some(store, 10).await;
        }
    });
    futures_util::future::join_all(writers).await;
    for follower in followers {
        assert_eq!(follower.await.expect("a follower"), (1..=all).collect::<Vec<_>>());
    }
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_follower_of_some_partitions_learns_how_far_the_log_is() {
    let database = database().await;
    let store = store(&database).await;
    let half: PartitionSet = Partition::all().filter(|partition| partition.number() % 2 == 0).collect();
    let rest: PartitionSet = Partition::all().filter(|&partition| !half.contains(partition)).collect();
    let mut feeds = [half, rest].map(|set| store.follow(set, From::Position(Position::START)));
    append_some(&store, 50).await;
    let mut seen = HashSet::new();
    for feed in &mut feeds {
        for position in take(feed.as_mut(), Position(100)).await {
            assert!(seen.insert(position), "in one half only");
        }
    }
    assert_eq!(seen.len(), 100);
}

#[tokio::test]
async fn each_partition_goes_on_after_its_own_cursor() {
    let database = database().await;
    let store = store(&database).await;
    append_some(&store, 100).await;
    let cursor = |partition: Partition| Position(i64::from(partition.number()) * 3);
    let cursors = Partition::all().map(|partition| (partition, cursor(partition))).collect();
    let mut feed = store.follow(PartitionSet::ALL, From::Cursors(cursors));
    let seen = take(feed.as_mut(), Position(200)).await;
    let stretch = store.read(Position::START, 1_000, PartitionSet::ALL).await.expect("read");
    let expected = stretch.events.iter().filter(|event| event.position > cursor(event.partition));
    assert_eq!(seen, expected.map(|event| event.position.0).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_is_ahead_of_the_log_is_told() {
    let database = database().await;
    let store = store(&database).await;
    append_some(&store, 1).await;
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position(3)));
    let ahead = feed.next().await;
    assert!(matches!(ahead, Err(Error::AheadOfLog { head: Position(2), .. })), "{ahead:?}");
}

/// A restore has lost a tail: whoever followed must not go on as if nothing had happened.
#[tokio::test]
async fn a_follower_is_told_of_another_generation() {
    let database = database().await;
    let store = store(&database).await;
    append_some(&store, 5).await;
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position::START));
    take(feed.as_mut(), Position(10)).await;
    sqlx::query("UPDATE log_head SET generation = 2").execute(database.pool()).await.expect("a promotion");
    append_some(&store, 1).await;
    let told = tokio::time::timeout(PATIENCE, feed.next()).await.expect("the feed moves");
    assert!(matches!(told, Err(Error::OtherGeneration { was: Generation(1), is: Generation(2), .. })), "{told:?}");
    // From its checkpoint it may go on.
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position(10)));
    assert_eq!(take(feed.as_mut(), Position(12)).await, [11, 12]);
}

/// The ring of a process learns of a generation at its next look: who follows from a place that is of the newer one waits for it.
#[tokio::test]
async fn a_follower_waits_for_a_ring_of_the_former_generation() {
    let database = database().await;
    let writer = store(&database).await;
    append_some(&writer, 5).await;
    // It looks only when it is told to.
    let seldom = StoreOptions { wake: Wake::Poll, poll_every: PATIENCE * 2, ..StoreOptions::default() };
    let store = store_with(&database, seldom).await;
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position::START));
    take(feed.as_mut(), Position(10)).await;
    sqlx::query("UPDATE log_head SET generation = 2").execute(database.pool()).await.expect("a promotion");
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position(8)));
    assert_eq!(take(feed.as_mut(), Position(10)).await, [9, 10]);
}

/// What is read at once is decoded at once, in every process that is behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_read_few_at_a_time() {
    const LARGE: i64 = 120;
    const BYTES: usize = 300_000;
    let database = database().await;
    let writer = store(&database).await;
    append_some(&writer, 100).await;
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..LARGE {
        let mut large = write(stream(), 0, 1);
        // Compressed to the half, more or less.
        let text: String = (0..BYTES).map(|_| char::from(b'a' + random.random_range(0..16))).collect();
        large.events[0].payload = format!("\"{text}\"");
        writer.append(append(vec![large])).await.expect("appended");
    }
    append_some(&writer, 100).await;
    let head = Position(200 + LARGE + 200);
    let (mut at, mut most) = (Position::START, 0);
    while at < head {
        let stretch = writer.read(at, 10_000, PartitionSet::ALL).await.expect("read");
        assert_eq!(stretch.events.len() as i64, stretch.upto.0 - at.0);
        let is_large = |position: i64| (201..=200 + LARGE).contains(&position);
        most = most.max(stretch.events.iter().filter(|event| is_large(event.position.0)).count());
        at = stretch.upto;
    }
    assert!(most > 0 && most * BYTES < 24_000_000, "{most} at once");

    // A ring that keeps few of them, and followers who were in it and are behind it.
    let small = StoreOptions { tail_bytes_max: 2 * BYTES, wake: Wake::Poll, ..StoreOptions::default() };
    let reader = store_with(&database, small).await;
    let follow = |from| {
        let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position(from)));
        tokio::spawn(async move { take(feed.as_mut(), Position(head.0 + 40)).await })
    };
    let followers = [follow(0), follow(head.0)];
    append_some(&writer, 20).await;
    for (follower, from) in followers.into_iter().zip([0, head.0]) {
        assert_eq!(follower.await.expect("a follower"), (from + 1..=head.0 + 40).collect::<Vec<_>>());
    }
}
