//! Kafka that has lost what it had acknowledged: who leads next begins early enough, and no watermark hides the hole.

use std::collections::HashMap;
use std::path::Path;

use embedded_kafka::testing;
use event_store::EventStore;
use event_store::kafka::relay::last_records;
use event_store::kafka::{KafkaOptions, topics};
use schema::log::{Generation, Position};
use schema::topics::LogTopic;
use sqlx::PgPool;

use crate::deleted::delete_topic;
use crate::support::{database, store};
use crate::teller::Teller;
use crate::topic::{append_some, assert_relayed, options, options_at, relay_options, run, until_written};

/// Of each partition of the topic of events, the last event that the relay knows to be in Kafka.
async fn checkpoint(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT last_events FROM relay").fetch_one(pool).await.expect("a checkpoint")
}

/// Relays all that is appended, and ends when a checkpoint says so.
async fn relayed(store: &EventStore, kafka: &KafkaOptions, pool: &PgPool, streams: usize) -> Position {
    let mut relay = run(store, relay_options(kafka));
    let upto = append_some(store, streams).await;
    relay.until_relayed(upto).await;
    until_written(pool, upto).await;
    upto
}

async fn tails(kafka: &KafkaOptions) -> HashMap<i32, Position> {
    let (name, records) = (kafka.topics.events(), last_records(kafka).await.expect("Kafka is read"));
    records.iter().filter(|tail| tail.topic == name).map(|tail| (tail.partition, tail.position)).collect()
}

/// How many bytes a partition's first batch of records takes, where others follow.
fn first_batch(file: &Path) -> Option<u64> {
    let bytes = std::fs::read(file).expect("the log of a partition");
    // After its offset, a batch says how many bytes follow.
    let length: [u8; 4] = bytes.get(8..12)?.try_into().expect("four bytes");
    let first = 12 + u64::from(u32::from_be_bytes(length));
    (first < bytes.len() as u64).then_some(first)
}

/// A broker acknowledges before anything is on its disk: with its power go the last records of a partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_lost_with_its_power_is_written_again() {
    let database = database().await;
    let store = store(&database).await;
    let brokers = testing::own(|_| {}).await;
    let kafka = options_at(&brokers.brokers());
    let first = relayed(&store, &kafka, database.pool(), 60).await;
    let had_first = checkpoint(database.pool()).await;
    relayed(&store, &kafka, database.pool(), 60).await;
    let had = checkpoint(database.pool()).await;

    brokers.kill(1).await.expect("killed");
    let log = brokers.log(1);
    let data = log.parent().expect("a node's directory").join("data");
    let file = |partition| data.join(format!("{}-{partition}/00000000000000000000.log", kafka.topics.events()));
    // Their first batch has nothing of what was appended later.
    let in_both = (0..had.len()).filter(|partition| had_first[*partition] > 0 && had[*partition] > first.0);
    let cut_off: Vec<(usize, u64)> = in_both.filter_map(|at| Some((at, first_batch(&file(at))?))).take(3).collect();
    assert_eq!(cut_off.len(), 3);
    for (partition, bytes) in &cut_off {
        let log = std::fs::OpenOptions::new().write(true).open(file(*partition)).expect("opened");
        log.set_len(*bytes).expect("cut");
    }
    brokers.restart(1).await.expect("back");
    let left = tails(&kafka).await;
    for (partition, _) in cut_off {
        let left = left[&i32::try_from(partition).expect("small")];
        assert!(left.0 < had[partition], "{partition} ends at {left}");
    }

    let mut relay = run(&store, relay_options(&kafka));
    relay.until(|state| state.doing.is_leading()).await;
    let upto = append_some(&store, 20).await;
    relay.until_relayed(upto).await;
    assert_relayed(&store, &kafka, upto).await;
    until_written(database.pool(), upto).await;
    brokers.stop().await;
}

/// The topics were made anew, and whoever wrote them again was killed before its first checkpoint: each partition has records, and
/// the checkpoint is of the topics that were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_half_written_anew_is_written_to_the_end() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    let had = relayed(&store, &kafka, database.pool(), 100).await;
    for topic in LogTopic::ALL {
        delete_topic(&kafka, kafka.topics.of(topic)).await;
    }
    topics::ensure(&kafka).await.expect("made anew");
    let mut teller = Teller::new(&store, &kafka);
    let half = Position(had.0 / 2);
    for event in teller.news().await.iter().take_while(|event| event.position <= half) {
        teller.tell(event);
    }
    teller.watermark(half, Generation::FIRST);
    teller.flush().await;
    assert!(tails(&kafka).await.values().filter(|tail| **tail >= Position(1)).count() == 64, "none is empty");

    let mut relay = run(&store, relay_options(&kafka));
    relay.until_relayed(had).await;
    let upto = append_some(&store, 20).await;
    relay.until_relayed(upto).await;
    // An event at that very position was told of by its own watermark as well.
    assert!(assert_relayed(&store, &kafka, upto).await <= 2, "what was there is not written again");
}
