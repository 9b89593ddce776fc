//! What edges follow: the topic of station commands, and Postgres where it does not bring them.

use std::time::{Duration, Instant};

use chrono::Utc;
use domain::charge_point::ChargePointEvent;
use domain::event::{AggregateType, Event};
use domain::id::Epoch;
use event_store::feed::{Error, Log};
use event_store::kafka::{KafkaCounts, KafkaOptions};
use event_store::{EventStore, Expected, StoreOptions, Wake, Write};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::message::{Header, OwnedHeaders};
use schema::log::{Generation, NewEvent, Position, StreamId};
use schema::topics::LogTopic;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::{PATIENCE, append, database, envelope, store, store_with, write};
use crate::teller::{Teller, kafka_at};

const SOON: Duration = Duration::from_millis(200);

async fn edge(
    database: &embedded_postgres::testing::TestDatabase,
    kafka: Option<&KafkaOptions>,
    poll_every: Duration,
) -> EventStore {
    let options = StoreOptions { kafka: kafka.cloned(), wake: Wake::Poll, poll_every, ..StoreOptions::default() };
    store_with(database, options).await
}

/// A charger that connects, and beside it what no edge follows.
async fn append_some(store: &EventStore, chargers: usize) {
    let appends = (0..chargers).map(|_| {
        let stream = StreamId { aggregate: AggregateType::ChargePoint, id: Uuid::now_v7() };
        let connected = ChargePointEvent::ChargePointConnected {
            epoch: Epoch(1),
            protocol: "ocpp1.6".into(),
            edge: "test".into(),
            at: Utc::now(),
        };
        let events = vec![NewEvent::new(Event::ChargePoint(connected), envelope(), stream.id)];
        let connects = Write { stream, expected: Expected::version(0), events, fence: None };
        store.append(append(vec![write(crate::support::stream(), 0, 2), connects]))
    });
    for outcome in join_all(appends).await {
        outcome.expect("appended");
    }
}

/// Which of the positions up to here an edge has to be handed.
async fn expected(store: &EventStore, after: Position, upto: Position) -> Vec<i64> {
    let stretch = store.read(after, upto.0 - after.0, event_store::PartitionSet::ALL).await.expect("a stretch");
    assert_eq!(stretch.upto, upto);
    let holds = |event: &&schema::log::RecordedEvent| LogTopic::StationCommands.holds(&event.event_type);
    stretch.events.iter().filter(holds).map(|event| event.position.0).collect()
}

/// Follows until everything up to a position was handed on.
fn follow(store: &EventStore, from: Position, upto: Position) -> JoinHandle<Vec<i64>> {
    let mut feed = store.follow_commands(from);
    tokio::spawn(async move {
        let mut seen: Vec<(u8, i64)> = vec![];
        loop {
            let batch = feed.next().await.expect("a batch");
            for event in &batch.events {
                let of = event.partition.number();
                let last = seen.iter().rev().find(|(partition, _)| *partition == of);
                assert!(last.is_none_or(|(_, last)| *last < event.position.0), "in order, each once");
                seen.push((of, event.position.0));
            }
            if batch.upto >= upto {
                let mut positions: Vec<i64> = seen.into_iter().map(|(_, position)| position).collect();
                positions.retain(|position| *position <= upto.0);
                positions.sort_unstable();
                return positions;
            }
        }
    })
}

async fn of(follower: JoinHandle<Vec<i64>>) -> Vec<i64> {
    tokio::time::timeout(PATIENCE, follower).await.expect("the follower gets there").expect("a follower")
}

fn counts(store: &EventStore) -> KafkaCounts {
    store.kafka_counts().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_are_handed_what_they_need_and_nothing_else() {
    let database = database().await;
    let (writer, edge) = (store(&database).await, edge(&database, None, SOON).await);
    append_some(&writer, 20).await;
    let follower = follow(&edge, Position(15), Position(120));
    append_some(&writer, 20).await;
    assert_eq!(of(follower).await, expected(&writer, Position(15), Position(120)).await);
}

/// Told well, it needs Postgres only to know that it began where it should.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_well_commands_come_at_once() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, edge) = (store(&database).await, edge(&database, Some(&kafka), PATIENCE).await);
    let mut teller = Teller::new(&writer, &kafka);
    let mut feed = edge.follow_commands(Position::START);
    let (mut took, mut began) = (vec![], false);
    while took.len() < 100 {
        append_some(&writer, 1).await;
        let told = Instant::now();
        for event in teller.news().await {
            teller.tell(&event);
        }
        let (head, _) = writer.head().await.expect("a head");
        // Before the consumer stands at its ends, what is told may be missed until a watermark tells so.
        let mut told_on = Instant::now();
        loop {
            if told_on.elapsed() > Duration::from_millis(50) {
                teller.watermark(head, Generation::FIRST);
                told_on = Instant::now();
            }
            let Ok(batch) = tokio::time::timeout(Duration::from_millis(60), feed.next()).await else { continue };
            let batch = batch.expect("a batch");
            assert!(told.elapsed() < PATIENCE);
            if batch.events.iter().any(|event| event.position == head) {
                break;
            }
        }
        if began {
            took.push(told.elapsed());
        }
        began |= counts(&edge).taken > 0;
    }
    took.sort_unstable();
    println!("a command through Kafka: {:?} at the median, {:?} at p99", took[50], took[98]);
    let filled = counts(&edge).filled;
    assert!(filled <= 3, "only what came before it began: {:?}", counts(&edge));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_and_nothing_is_twice_whatever_is_told() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, edge) = (store(&database).await, edge(&database, Some(&kafka), SOON).await);
    let mut teller = Teller::new(&writer, &kafka);
    append_some(&writer, 50).await;
    for event in teller.news().await {
        teller.tell(&event);
    }
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (from, upto) = (Position(90), Position(150 + 80 * 60));
    let followers: Vec<_> = (0..2).map(|_| follow(&edge, from, upto)).collect();
    let mut told = vec![];
    for _ in 0..80 {
        append_some(&writer, 20).await;
        // A relay of an older program says nothing of it.
        teller.tells_log(random.random_bool(0.7));
        for event in teller.news().await {
            match random.random_range(0..200) {
                0 => teller.leave_out(&event),
                1 => {
                    let mut headers = OwnedHeaders::new();
                    if random.random_bool(0.5) {
                        let position = event.position.to_string();
                        headers = headers.insert(Header { key: "position", value: Some(&position) });
                    }
                    teller.send(LogTopic::StationCommands, event.partition, headers, Some(b"?"));
                    teller.leave_out(&event);
                }
                2 if !told.is_empty() => {
                    for again in &told[told.len().saturating_sub(random.random_range(0..100))..] {
                        teller.tell(again);
                    }
                    teller.tell(&event);
                }
                _ => teller.tell(&event),
            }
            told.push(event);
        }
        if random.random_bool(0.5)
            && let Some(last) = told.last()
        {
            teller.watermark(last.position, Generation::FIRST);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
    }
    let expected = expected(&writer, from, upto).await;
    for follower in followers {
        assert_eq!(of(follower).await, expected, "seed {seed}");
    }
    println!("{:?}", counts(&edge));
}

/// A driver's start must not wait for Kafka.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_kafka_is_down_commands_come_from_postgres() {
    let own = embedded_kafka::testing::own(|_| {}).await;
    let (database, kafka) = (database().await, kafka_at(&own.brokers()).await);
    let (writer, edge) = (store(&database).await, edge(&database, Some(&kafka), SOON).await);
    let mut teller = Teller::new(&writer, &kafka);
    let mut feed = edge.follow_commands(Position::START);
    for round in 0..12 {
        match round {
            4 => own.kill(1).await.expect("killed"),
            8 => own.restart(1).await.expect("restarted"),
            _ => {}
        }
        append_some(&writer, 1).await;
        let appended = Instant::now();
        for event in teller.news().await {
            teller.tell(&event);
        }
        let (head, _) = writer.head().await.expect("a head");
        let told = async { while feed.next().await.expect("a batch").upto < head {} };
        let told = tokio::time::timeout(SOON * 50, told).await;
        println!("round {round}: {:?}", appended.elapsed());
        assert!(told.is_ok(), "round {round}: it waits for Kafka");
    }
    assert!(counts(&edge).filled >= 4, "{:?}", counts(&edge));
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_is_told_when_the_log_is_another() {
    let (database, kafka) = (database().await, kafka_at(embedded_kafka::testing::brokers().await).await);
    let (writer, edge) = (store(&database).await, edge(&database, Some(&kafka), SOON).await);
    append_some(&writer, 2).await;
    let mut feed = edge.follow_commands(Position(99));
    let ahead = feed.next().await;
    assert!(matches!(ahead, Err(Error::AheadOfLog { head: Position(6), .. })), "{ahead:?}");
    let mut feed = edge.follow_commands(Position(6));
    let waits = tokio::time::timeout(SOON, feed.next()).await;
    assert!(waits.is_err(), "{waits:?}");
    sqlx::query("UPDATE log_head SET generation = 2").execute(database.pool()).await.expect("another generation");
    let told = tokio::time::timeout(PATIENCE, feed.next()).await.expect("it looks at the log");
    assert!(matches!(told, Err(Error::OtherGeneration { was: Generation(1), is: Generation(2), .. })), "{told:?}");
}
