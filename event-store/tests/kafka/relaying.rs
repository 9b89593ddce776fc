use std::time::Duration;

use event_store::StoreOptions;
use event_store::kafka::{Doing, relay::Stopped, topics};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use schema::log::Position;

use crate::support::{database, store, store_with};
use crate::topic::{append_some, assert_relayed, options, relay_options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_in_kafka_as_it_is_in_the_log() {
    let (database, kafka) = (database().await, options().await);
    let stores = [store(&database).await, store(&database).await];
    // Before the relay, while it runs, and from another process.
    append_some(&stores[0], 40).await;
    let mut relay = run(&stores[0], relay_options(&kafka));
    let mut upto = Position::START;
    for round in 0..10 {
        let appended = futures_util::future::join_all(stores.iter().map(|store| append_some(store, 10 + round))).await;
        upto = upto.max(appended.into_iter().max().expect("two"));
    }
    relay.until_relayed(upto).await;
    assert_eq!(assert_relayed(&stores[0], &kafka, upto).await, 0, "each once");
    let state = relay.until(|state| state.head >= upto).await;
    assert_eq!((state.lag(), state.doing.is_leading()), (0, true));
}

/// A relay that comes back goes on after its checkpoint, and after what Kafka has beyond it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_writes_nothing_twice() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    for round in 0..3 {
        // Whether there is a checkpoint of what was relayed last is left to chance.
        let upto = append_some(&store, 20).await;
        let mut relay = run(&store, relay_options(&kafka));
        relay.until_relayed(upto).await;
        if round == 1 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        drop(relay);
    }
    let upto = append_some(&store, 5).await;
    let mut relay = run(&store, relay_options(&kafka));
    relay.until_relayed(upto).await;
    assert_eq!(assert_relayed(&store, &kafka, upto).await, 0);
}

/// What the log reads again from archives is not told apart: here only that a small window and small reads lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_always_full_loses_nothing() {
    let (database, kafka) = (database().await, options().await);
    let polling = StoreOptions { notify: false, poll_every: Duration::from_millis(20), ..StoreOptions::default() };
    let store = store_with(&database, polling).await;
    let upto = append_some(&store, 800).await;
    let mut options = relay_options(&kafka);
    options.window_events_max = 1;
    options.window_bytes_max = 1;
    let mut relay = run(&store, options);
    relay.until_relayed(upto).await;
    let upto = append_some(&store, 3).await;
    relay.until_relayed(upto).await;
    assert_eq!(assert_relayed(&store, &kafka, upto).await, 0);
}

fn admin(kafka: &event_store::kafka::KafkaOptions) -> AdminClient<DefaultClientContext> {
    kafka.client().create().expect("an admin")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_another_shape_are_told_and_written_to_when_they_are_right() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    let upto = append_some(&store, 10).await;
    let name = kafka.topics.events();
    let wrong = NewTopic::new(&name, 3, TopicReplication::Fixed(1));
    let admin = admin(&kafka);
    admin.create_topics([&wrong], &AdminOptions::new()).await.expect("asked").remove(0).expect("made");
    let mut relay = run(&store, relay_options(&kafka));
    let state = relay.until(|state| state.doing.is_stopped()).await;
    let Doing::Stopped { why: Stopped::Topics(why) } = &state.doing else { panic!("{state:?}") };
    assert!(why.contains(&format!("{name} has 3 partitions, and needs 64")), "{why}");
    assert!(why.contains("COULOMB_KAFKA_TOPIC_PREFIX"), "{why}");
    admin.delete_topics(&[&name], &AdminOptions::new()).await.expect("asked").remove(0).expect("deleted");
    relay.until_relayed(upto).await;
    assert_relayed(&store, &kafka, upto).await;
}

/// The way out of a topic that can't be kept: it is deleted, and the log writes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_deleted_is_written_from_the_beginning() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    let upto = append_some(&store, 30).await;
    let mut relay = run(&store, relay_options(&kafka));
    relay.until_relayed(upto).await;
    // Long enough for its checkpoint.
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(relay);
    let deleted = admin(&kafka);
    deleted
        .delete_topics(&[&kafka.topics.events()], &AdminOptions::new())
        .await
        .expect("asked")
        .remove(0)
        .expect("gone");
    let upto = append_some(&store, 5).await;
    let mut relay = run(&store, relay_options(&kafka));
    relay.until_relayed(upto).await;
    // What the other topic has stays as it is.
    assert_eq!(assert_relayed(&store, &kafka, upto).await, 0);
}

#[tokio::test]
async fn brokers_that_are_not_there_are_named() {
    let error = topics::ensure(&event_store::kafka::KafkaOptions::new("127.0.0.1:1")).await.unwrap_err();
    assert!(matches!(error, topics::Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn fewer_brokers_than_copies_are_told() {
    let kafka = event_store::kafka::KafkaOptions { replicas: Some(2), ..options().await };
    let error = topics::ensure(&kafka).await.unwrap_err();
    assert!(matches!(error, topics::Error::FewBrokers { there: 1, wanted: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("COULOMB_KAFKA_REPLICAS"), "{error}");
}
