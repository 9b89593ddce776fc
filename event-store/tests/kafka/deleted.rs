//! Topics that are deleted, or altered, under a relay that leads.

use std::time::{Duration, Instant};

use embedded_kafka::{EmbeddedKafka, testing};
use event_store::kafka::relay::Stopped;
use event_store::kafka::{Doing, KafkaOptions, RelayOptions, topics};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use schema::topics::RECORD_BYTES_MAX;

use crate::support::{PATIENCE, database, store};
use crate::topic::{append_some, assert_relayed, measured, metric, options, options_at, relay_options, run};

fn admin(kafka: &KafkaOptions) -> AdminClient<DefaultClientContext> {
    kafka.client().create().expect("an admin")
}

/// Gives up soon.
fn impatient(kafka: &KafkaOptions) -> RelayOptions {
    RelayOptions { kafka_patience: Duration::from_secs(3), ..relay_options(kafka) }
}

async fn delete(kafka: &KafkaOptions) {
    delete_topic(kafka, kafka.topics.events()).await;
}

/// It is gone when this returns, or already another one.
pub async fn delete_topic(kafka: &KafkaOptions, name: String) {
    let deleted = admin(kafka).delete_topics(&[&name], &AdminOptions::new()).await;
    deleted.expect("asked").remove(0).expect("deleted");
    let consumer: BaseConsumer = kafka.client().create().expect("a consumer");
    let gone = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let is_there = || {
            let metadata = consumer.fetch_metadata(Some(&name), PATIENCE).expect("metadata");
            metadata.topics()[0].partitions().len() == 64
        };
        while is_there() {
            assert!(began.elapsed() < PATIENCE, "it stays");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    gone.await.expect("it goes");
}

/// As Kafka comes, a broker makes a topic for whoever asks for one that is not there, with one partition.
async fn making_by_itself() -> EmbeddedKafka {
    let yes = ("auto.create.topics.enable".to_owned(), "true".to_owned());
    testing::own(|options| options.properties.push(yes)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_under_a_leader_is_written_anew() {
    let database = database().await;
    let store = store(&database).await;
    let brokers = making_by_itself().await;
    let kafka = options_at(&brokers.brokers());
    let mut relay = run(&store, impatient(&kafka));
    let upto = append_some(&store, 30).await;
    relay.until_relayed(upto).await;
    delete(&kafka).await;
    let upto = append_some(&store, 30).await;
    let state = relay.until(|state| state.relayed >= upto || state.doing.is_stopped()).await;
    assert!(!state.doing.is_stopped(), "{state:?}");
    assert_relayed(&store, &kafka, upto).await;
    brokers.stop().await;
}

/// Whoever made it was faster than the relay noticed: what it writes then stands in the middle. It says so, and goes on; deleted
/// while no relay runs, the topic is whole again.
#[test]
fn a_topic_that_is_made_anew_under_a_leader_is_told_of() {
    measured(async |told| {
        let (database, kafka) = (database().await, options().await);
        let store = store(&database).await;
        let mut relay = run(&store, impatient(&kafka));
        let upto = append_some(&store, 100).await;
        relay.until_relayed(upto).await;
        delete(&kafka).await;
        topics::ensure(&kafka).await.expect("made anew");
        let upto = append_some(&store, 30).await;
        relay.until_relayed(upto).await;
        let text = told.render();
        let lost = metric(&text, "coulomb_relay_lost_partitions_total");
        assert!(lost.is_some_and(|lost| lost > 0.0), "{text}");

        drop(relay);
        delete(&kafka).await;
        let mut relay = run(&store, relay_options(&kafka));
        let upto = append_some(&store, 30).await;
        relay.until_relayed(upto).await;
        assert_relayed(&store, &kafka, upto).await;
    });
}

async fn let_it_take(kafka: &KafkaOptions, bytes: usize) {
    let (name, bytes) = (kafka.topics.events(), bytes.to_string());
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", &bytes);
    let altered = admin(kafka).alter_configs([&alter], &AdminOptions::new()).await;
    altered.expect("asked").remove(0).expect("altered");
}

/// At a record that is too large every leader would end, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_takes_no_large_records_stops_the_relay_which_says_what_to_do() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    let mut relay = run(&store, relay_options(&kafka));
    let upto = append_some(&store, 10).await;
    relay.until_relayed(upto).await;
    let_it_take(&kafka, 200).await;
    // The broker knows of it somewhat later.
    let mut upto = append_some(&store, 10).await;
    let until = Instant::now() + PATIENCE;
    let state = loop {
        assert!(Instant::now() < until, "it goes on");
        let stopped = relay.until(|state| state.doing.is_stopped());
        match tokio::time::timeout(Duration::from_secs(1), stopped).await {
            Ok(state) => break state,
            Err(_) => upto = append_some(&store, 10).await,
        }
    };
    // A moment later it has looked at the topic again, which says the same.
    let Doing::Stopped { why: why @ (Stopped::TooLarge { .. } | Stopped::Topics(_)) } = &state.doing else {
        panic!("{state:?}")
    };
    let (said, needed) = (why.to_string(), format!("max.message.bytes={RECORD_BYTES_MAX}"));
    assert!(said.contains(&kafka.topics.events()) && said.contains(&needed), "{said}");

    // Who leads next sees it before it writes anything.
    drop(relay);
    let mut relay = run(&store, relay_options(&kafka));
    let state = relay.until(|state| state.doing.is_stopped()).await;
    let Doing::Stopped { why: Stopped::Topics(said) } = &state.doing else { panic!("{state:?}") };
    assert!(said.contains("up to 200 bytes") && said.contains(&needed), "{said}");
    let_it_take(&kafka, RECORD_BYTES_MAX).await;
    relay.until_relayed(upto).await;
    assert_relayed(&store, &kafka, upto).await;
}
