//! The ring that Kafka feeds: whatever Kafka does, followers get every event once and in order.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use event_store::feed::{Error, Feed, From, Log};
use event_store::kafka::{DeadLetters, DeadRecord, KafkaCounts, KafkaOptions, Keeping, Relay, RelayOptions};
use event_store::{EventStore, PartitionSet, StoreOptions, Wake};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::message::{Header, OwnedHeaders};
use schema::log::{Generation, Position};
use schema::stored::StoredEvent;
use schema::topics::LogTopic;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::{PATIENCE, append, database, store, store_with, stream, write};
use crate::teller::{Teller, kafka_at};

/// So long that in a test where Kafka brings everything nothing is read from Postgres.
const NEVER: Duration = Duration::from_secs(50);
const SOON: Duration = Duration::from_millis(200);

async fn following(
    database: &embedded_postgres::testing::TestDatabase,
    kafka: &KafkaOptions,
    poll_every: Duration,
) -> EventStore {
    // Nobody tells it of anything but Kafka.
    let options = StoreOptions { kafka: Some(kafka.clone()), wake: Wake::Poll, poll_every, ..StoreOptions::default() };
    store_with(database, options).await
}

async fn append_some(store: &EventStore, streams: usize) {
    let appends = (0..streams).map(|_| store.append(append(vec![write(stream(), 0, 2)])));
    for outcome in join_all(appends).await {
        outcome.expect("appended");
    }
}

/// What a follower was handed, as a reader of the log would have it.
type Seen = Vec<(i64, Uuid, Uuid, String)>;

/// Follows until a position.
fn follow(store: &EventStore, from: Position, upto: Position) -> JoinHandle<Seen> {
    let mut feed = store.follow(PartitionSet::ALL, From::Position(from));
    tokio::spawn(async move {
        let mut seen = Seen::new();
        loop {
            let batch = feed.next().await.expect("a batch");
            for event in &batch.events {
                assert!(event.position <= batch.upto);
                let words = format!("{:?} {:?} {:?}", event.event, event.envelope, event.recorded_at);
                seen.push((event.position.0, event.event_id, event.payload_hash, words));
            }
            if batch.upto >= upto {
                return seen;
            }
        }
    })
}

async fn all(store: &EventStore, upto: Position) -> Seen {
    follow(store, Position::START, upto).await.expect("all")
}

async fn of(follower: JoinHandle<Seen>) -> Seen {
    tokio::time::timeout(PATIENCE, follower).await.expect("the follower gets there").expect("a follower")
}

fn counts(store: &EventStore) -> KafkaCounts {
    store.kafka_counts().0
}

/// Until Kafka brings all that is told.
async fn warm_up(teller: &mut Teller, writer: &EventStore, reader: &EventStore) -> Position {
    loop {
        let before = counts(reader);
        append_some(writer, 100).await;
        let (head, _) = writer.head().await.expect("a head");
        let follower = follow(reader, Position(head.0 - 200), head);
        for event in teller.news().await {
            teller.tell(&event);
        }
        // A consumer that does not stand at its ends yet misses some, and is told again.
        let waited = tokio::time::timeout(Duration::from_secs(2), follower).await;
        let now = counts(reader);
        if waited.is_ok() && now.taken - before.taken >= 200 && now.filled == before.filled {
            return head;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_well_nothing_is_read_from_postgres() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, reader) = (store(&database).await, following(&database, &kafka, Duration::from_secs(5)).await);
    let mut teller = Teller::new(&writer, &kafka);
    let from = warm_up(&mut teller, &writer, &reader).await;
    // Counted a moment after it was handed on.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = counts(&reader);
    let upto = Position(from.0 + 2_000);
    let followers: Vec<_> = (0..3).map(|_| follow(&reader, from, upto)).collect();
    for _ in 0..10 {
        append_some(&writer, 100).await;
        for event in teller.news().await {
            teller.tell(&event);
            // Twice: a woken leader.
            teller.tell(&event);
        }
    }
    let expected = of(follow(&writer, from, upto)).await;
    for follower in followers {
        assert_eq!(of(follower).await, expected);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let after = counts(&reader);
    assert_eq!(after.filled, before.filled, "{after:?}");
    assert_eq!(after.taken - before.taken, 2_000, "{after:?}");
}

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<DeadRecord>>);

#[async_trait]
impl DeadLetters for Kept {
    async fn keep(&self, record: &DeadRecord) -> Keeping {
        self.0.lock().expect("a lock").push(record.clone());
        Keeping::Done
    }
}

/// A record that says it is an event and isn't one.
fn garbage(teller: &Teller, of: &StoredEvent, kind: u32) {
    let header = |headers: OwnedHeaders, key: &str, value: &str| headers.insert(Header { key, value: Some(value) });
    let position = of.position.to_string();
    let mut headers = OwnedHeaders::new();
    if kind != 0 {
        headers = header(headers, "position", &position);
    }
    headers = header(header(headers, "prev", "0"), "generation", if kind == 1 { "first" } else { "1" });
    let value: &[u8] = if kind == 2 { b"{\"position\":" } else { b"\xff\x00" };
    teller.send(LogTopic::Events, of.partition, headers, Some(value));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_and_nothing_is_twice_whatever_is_told() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let kept = Arc::new(Kept::default());
    let options = StoreOptions {
        kafka: Some(kafka.clone()),
        wake: Wake::Poll,
        poll_every: SOON,
        dead_letters: Some(kept.clone()),
        // So small that followers fall behind it.
        tail_events_max: 300,
        ..StoreOptions::default()
    };
    let (writer, reader) = (store(&database).await, store_with(&database, options).await);
    let mut teller = Teller::new(&writer, &kafka);
    let from = warm_up(&mut teller, &writer, &reader).await;
    let before = counts(&reader);
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let upto = Position(from.0 + 3_000);
    let followers: Vec<_> = (0..3).map(|_| follow(&reader, Position::START, upto)).collect();
    let (mut told, mut left_out, mut broken, mut nameless) = (Vec::new(), 0, 0, 0);
    for _ in 0..30 {
        append_some(&writer, 50).await;
        // A relay of an older program says nothing of it.
        teller.tells_log(random.random_bool(0.7));
        for event in teller.news().await {
            match random.random_range(0..100) {
                0 => {
                    teller.leave_out(&event);
                    left_out += 1;
                    continue;
                }
                1 => {
                    let kind = random.random_range(0..4);
                    garbage(&teller, &event, kind);
                    teller.leave_out(&event);
                    broken += 1;
                    nameless += u64::from(kind < 2);
                    continue;
                }
                2 if !told.is_empty() => {
                    // A leader that was frozen tells what it had at hand.
                    for again in &told[told.len().saturating_sub(random.random_range(0..100))..] {
                        teller.tell(again);
                    }
                }
                _ => {}
            }
            teller.tell(&event);
            told.push(event);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
    }
    let expected = all(&writer, upto).await;
    for follower in followers {
        assert_eq!(of(follower).await, expected, "seed {seed}");
    }
    teller.flush().await;
    let missing = left_out + broken;
    // Counted a moment after it was handed on.
    let counted = |after: &KafkaCounts| {
        let (taken, filled) = (after.taken - before.taken, after.filled - before.filled);
        filled >= missing && taken + filled >= 3_000
    };
    let until = tokio::time::Instant::now() + PATIENCE;
    while !counted(&counts(&reader)) && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = counts(&reader);
    println!("{missing} were not told, of them {broken} garbage; {after:?}");
    assert!(counted(&after), "{missing} were not told: {before:?}, {after:?}");
    // Those whose place is known by then are not looked at: the others all are.
    let until = tokio::time::Instant::now() + PATIENCE;
    let kept = loop {
        let (kept, undecodable) = (kept.0.lock().expect("a lock").clone(), counts(&reader).undecodable);
        if undecodable >= nameless && kept.len() as u64 == undecodable {
            assert!(undecodable <= broken);
            break kept;
        }
        assert!(tokio::time::Instant::now() < until, "{} of {undecodable} are kept", kept.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for record in &kept {
        assert_eq!(record.topic, kafka.topics.events());
        assert!(record.value.is_some() && record.headers.iter().any(|(name, _)| name == "prev"));
        assert!(!record.error.is_empty() && record.offset >= 0);
    }
}

/// What it should have said is asked for at once: nothing is there to be waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_decoded_is_read_from_postgres_at_once() {
    const LATE: Duration = Duration::from_secs(15);
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, reader) = (store(&database).await, following(&database, &kafka, LATE).await);
    let mut teller = Teller::new(&writer, &kafka);
    let mut at = warm_up(&mut teller, &writer, &reader).await;
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(at));
    for round in 0..5 {
        let before = counts(&reader);
        append_some(&writer, 1).await;
        at = Position(at.0 + 2);
        let began = Instant::now();
        // The newest of all is garbage, and what stands before it is well or garbage too.
        for (nth, event) in teller.news().await.iter().enumerate() {
            if nth == 0 && round % 2 == 0 {
                teller.tell(event);
            } else {
                garbage(&teller, event, 2);
                teller.leave_out(event);
            }
        }
        let caught_up = async { while feed.next().await.expect("a batch").upto < at {} };
        tokio::time::timeout(PATIENCE, caught_up).await.expect("the log is followed");
        let took = began.elapsed();
        assert!(took < LATE / 3, "round {round}: {took:?}");
        // Counted a moment after it was handed on.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let after = counts(&reader);
        assert!(after.filled > before.filled && after.undecodable > before.undecodable, "{before:?} {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_kafka_is_down_the_log_is_followed_and_then_kafka_is_again() {
    let own = embedded_kafka::testing::own(|_| {}).await;
    let (database, kafka) = (database().await, kafka_at(&own.brokers()).await);
    let (writer, reader) = (store(&database).await, following(&database, &kafka, SOON).await);
    let mut teller = Teller::new(&writer, &kafka);
    let from = warm_up(&mut teller, &writer, &reader).await;
    own.kill(1).await.expect("killed");
    let upto = Position(from.0 + 400);
    let follower = follow(&reader, from, upto);
    for _ in 0..4 {
        append_some(&writer, 50).await;
        tokio::time::sleep(SOON).await;
    }
    assert_eq!(of(follower).await.len(), 400);
    // Counted a moment after it was handed on.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let down = counts(&reader);
    assert!(down.filled >= 400, "{down:?}");
    own.restart(1).await.expect("restarted");
    // What was told late is known, what is new comes.
    warm_up(&mut teller, &writer, &reader).await;
    let again = counts(&reader);
    assert!(again.taken >= down.taken + 200 && again.known > down.known, "{again:?}");
    let (head, _) = writer.head().await.expect("a head");
    assert_eq!(of(follow(&reader, Position::START, head)).await, all(&writer, head).await);
    own.stop().await;
}

/// Nobody relays, or Kafka was never there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_the_log_is_polled() {
    let database = database().await;
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let (writer, reader) = (store(&database).await, following(&database, &kafka, SOON).await);
    let follower = follow(&reader, Position::START, Position(200));
    append_some(&writer, 50).await;
    tokio::time::sleep(SOON).await;
    append_some(&writer, 50).await;
    assert_eq!(of(follower).await.len(), 200);
    assert_eq!(counts(&reader).taken, 0);
}

/// What the log does not have: the tail of a primary that was lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_of_a_lost_tail_learns_of_it_and_is_told_no_more() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    // Looks at the log rarely, so that the follower is told of the lost tail before.
    let (writer, reader) = (store(&database).await, following(&database, &kafka, SOON * 5).await);
    let mut teller = Teller::new(&writer, &kafka);
    let head = warm_up(&mut teller, &writer, &reader).await;
    let last = writer.look(Position(head.0 - 1), head, &Default::default()).await.expect("a look").events.remove(0);
    let lost = |n| StoredEvent { position: Position(head.0 + n), event_id: Uuid::from_u128(n as u128), ..last.clone() };
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(head));
    // In the way of the record, not of its value: decoding compares the two.
    teller.tell(&lost(1));
    teller.tell(&lost(2));
    let ended = async {
        loop {
            match feed.next().await {
                Ok(batch) => assert!(batch.upto <= Position(head.0 + 2)),
                Err(error) => return error,
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it learns of it");
    assert!(matches!(ended, Error::AheadOfLog { head: of, .. } if of == head), "{ended:?}");
    // From now on Kafka is not believed.
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(head));
    teller.tell(&lost(1));
    teller.tell(&lost(3));
    assert!(tokio::time::timeout(SOON * 8, feed.next()).await.is_err(), "nothing comes of it");
    append_some(&writer, 1).await;
    let batch = tokio::time::timeout(PATIENCE, feed.next()).await.expect("the log is followed").expect("a batch");
    assert_eq!(batch.events[0].event_id, {
        let look = writer.look(head, Position(head.0 + 1), &Default::default()).await.expect("a look");
        look.events[0].event_id
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_generation_makes_the_ring_look_at_the_log() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let writer = store(&database).await;
    let reader = following(&database, &kafka, NEVER).await;
    let mut teller = Teller::new(&writer, &kafka);
    append_some(&writer, 10).await;
    teller.at_head().await;
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position::START));
    assert_eq!(feed.next().await.expect("a batch").upto, Position(20));
    let told = tokio::spawn(async move { feed.next().await });
    sqlx::query("UPDATE log_head SET generation = 2").execute(database.pool()).await.expect("another generation");
    let other = store(&database).await;
    append_some(&other, 10).await;
    let news = teller.news().await;
    let until = tokio::time::Instant::now() + PATIENCE;
    // Told again and again, until the consumer stands at its ends.
    while !told.is_finished() && tokio::time::Instant::now() < until {
        news.iter().for_each(|event| teller.tell(event));
        tokio::time::sleep(SOON).await;
    }
    let ended = told.await.expect("a follower");
    assert!(matches!(ended, Err(Error::OtherGeneration { was: Generation(1), is: Generation(2), .. })), "{ended:?}");
}

/// From the commit to a follower in another process, by way of the relay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_relay_tells_comes_to_followers() {
    const EVERY: Duration = Duration::from_millis(2);
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, reader) = (store(&database).await, following(&database, &kafka, Duration::from_secs(5)).await);
    let relay = Relay::new(store(&database).await, RelayOptions::new(kafka.clone()));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let relay = tokio::spawn(relay.run(async move { drop(ended.await) }));
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position::START));
    let committed = Arc::new(Mutex::new(std::collections::HashMap::new()));
    let appending = tokio::spawn({
        let (committed, writer) = (Arc::clone(&committed), writer.clone());
        async move {
            let mut every = tokio::time::interval(EVERY);
            let mut under_way = tokio::task::JoinSet::new();
            for _ in 0..4_000 {
                every.tick().await;
                let (committed, writer) = (Arc::clone(&committed), writer.clone());
                under_way.spawn(async move {
                    let appended = writer.append(append(vec![write(stream(), 0, 1)])).await.expect("appended");
                    committed.lock().expect("a lock").insert(appended.position(), Instant::now());
                });
            }
            under_way.join_all().await;
        }
    });
    // Beside it, who is noticed by Postgres: what that takes here and now.
    let mut by_notice = store(&database).await.follow(PartitionSet::ALL, From::Position(Position::START));
    let (came, noticed) = tokio::join!(arrivals(&mut *feed), arrivals(&mut *by_notice));
    appending.await.expect("all are appended");
    end.send(()).expect("the relay runs");
    relay.await.expect("the relay ends");
    let committed = committed.lock().expect("a lock");
    let took = |came: &[(Position, Instant)]| {
        // The first half: everybody begins.
        let took = came[2_000..].iter().map(|(position, at)| at.saturating_duration_since(committed[position]));
        let mut took: Vec<Duration> = took.collect();
        took.sort_unstable();
        [took[1_000], took[1_980], took[1_999]]
    };
    let (by_kafka, by_notice, counts) = (took(&came), took(&noticed), counts(&reader));
    println!("median, p99, most: by Kafka {by_kafka:?}, by notices of Postgres {by_notice:?}; {counts:?}");
    // How long it takes is for a machine that does nothing else.
    assert!(counts.taken > 0, "by way of Kafka");
}

/// When each of the first 4,000 events came.
async fn arrivals(feed: &mut dyn Feed) -> Vec<(Position, Instant)> {
    let mut came = vec![];
    while came.len() < 4_000 {
        let batch = tokio::time::timeout(PATIENCE, feed.next()).await.expect("the feed moves").expect("a batch");
        let now = Instant::now();
        came.extend(batch.events.iter().map(|event| (event.position, now)));
    }
    came
}
