//! Settings that lead to the Kafka of another installation, or to its topics: nothing of it is believed, and nothing stops but the
//! relay.

use std::time::Duration;

use embedded_postgres::testing::TestDatabase;
use event_store::feed::{From, Log};
use event_store::kafka::relay::{Stopped, last_records, look_before_appending};
use event_store::kafka::{Doing, KafkaOptions};
use event_store::lineage::{ForeignTopic, KafkaTail, LOST_MAX, Recovery, RecoveryError, Successor};
use event_store::{EventStore, PartitionSet, StoreOptions, Wake};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use schema::log::Position;
use schema::record::Encoder;
use schema::topics::LogTopic;

use crate::support::{PATIENCE, append as one, database, store, store_with, stream, write};
use crate::teller::Teller;
use crate::topic::{append_some, assert_relayed, options, relay_options, run};

/// A process of an installation with a relay.
async fn of_relayed(database: &TestDatabase, kafka: &KafkaOptions) -> EventStore {
    let options = StoreOptions {
        successor: Successor::Relay,
        kafka: Some(kafka.clone()),
        wake: Wake::Poll,
        poll_every: Duration::from_millis(300),
        ..StoreOptions::default()
    };
    store_with(database, options).await
}

/// Topics with what another log has relayed there, up to a position.
async fn of_another(kafka: &KafkaOptions, streams: usize) -> (TestDatabase, EventStore, Position) {
    let database = database().await;
    let store = store(&database).await;
    let upto = append_some(&store, streams).await;
    let mut relay = run(&store, relay_options(kafka));
    relay.until_relayed(upto).await;
    assert_relayed(&store, kafka, upto).await;
    (database, store, upto)
}

async fn tails(kafka: &KafkaOptions) -> Vec<KafkaTail> {
    let mut tails = last_records(kafka).await.expect("Kafka is read");
    tails.sort_by_key(|tail| (tail.topic.clone(), tail.partition));
    tails
}

fn foreign(why: &Stopped) -> &ForeignTopic {
    match why {
        Stopped::Foreign(foreign) => foreign,
        other => panic!("{other:?}"),
    }
}

/// The relay stops and says what is the matter; nothing is written, appends are taken, and nothing is there to be recovered.
async fn assert_keeps_out(store: &EventStore, kafka: &KafkaOptions) -> ForeignTopic {
    let before = tails(kafka).await;
    look_before_appending(store).await;
    let mut relay = run(store, relay_options(kafka));
    let state = relay.until(|state| state.doing.is_stopped()).await;
    let Doing::Stopped { why } = &state.doing else { unreachable!("it is stopped") };
    let found = foreign(why).clone();
    let said = why.to_string();
    for words in [found.topic.as_str(), "another log", "KAFKA_BROKERS", "COULOMB_KAFKA_TOPIC_PREFIX", "not halted"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(found.topic.starts_with(kafka.topics.prefix()), "{found:?}");
    for _ in 0..3 {
        store.append(one(vec![write(stream(), 0, 2)])).await.expect("appended");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!(relay.state.borrow().doing.is_stopped());
    assert!(store.lineage_now().await.expect("asked").is_open());
    assert!(tails(kafka).await == before, "nothing is written there");
    let plan = Recovery::plan(store, Some(&before), None, LOST_MAX).await;
    assert!(matches!(plan, Err(RecoveryError::Foreign(_))), "{plan:?}");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_keeps_out_of_the_topics_of_another_log_and_the_log_goes_on() {
    let kafka = options().await;
    let (_other_database, other, upto) = of_another(&kafka, 40).await;
    let theirs = other.identity().await.expect("asked");
    assert!(theirs.is_some());
    // Without an event, with fewer than the other one, and with more.
    for streams in [0, 3, 100] {
        let database = database().await;
        let store = of_relayed(&database, &kafka).await;
        if streams > 0 {
            append_some(&store, streams).await;
        }
        let (head, _) = store.head().await.expect("the head");
        assert_eq!(head > upto, streams == 100, "{head} of {upto}");
        let ours = store.identity().await.expect("asked");
        let found = assert_keeps_out(&store, &kafka).await;
        assert_eq!((found.theirs, found.ours), (theirs, ours));
    }
    // Whose topics they are goes on, as if nothing had been.
    let upto = append_some(&other, 5).await;
    let mut relay = run(&other, relay_options(&kafka));
    relay.until_relayed(upto).await;
    assert_relayed(&other, &kafka, upto).await;
}

/// As it says: the settings are put right, or the topics are deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_with_topics_of_its_own() {
    let kafka = options().await;
    let (_other_database, _other, _) = of_another(&kafka, 10).await;
    let database = database().await;
    let store = of_relayed(&database, &kafka).await;
    append_some(&store, 3).await;
    let mut relay = run(&store, relay_options(&kafka));
    relay.until(|state| state.doing.is_stopped()).await;
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().expect("an admin");
    let names = [kafka.topics.events(), kafka.topics.station_commands()];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for deleted in admin.delete_topics(&names, &AdminOptions::new()).await.expect("asked") {
        deleted.expect("deleted");
    }
    let (head, _) = store.head().await.expect("the head");
    relay.until_relayed(head).await;
    assert_relayed(&store, &kafka, head).await;
}

/// Records of programs that did not say which log they are of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_do_not_say_whose_they_are_are_told_by_their_events() {
    let kafka = options().await;
    event_store::kafka::topics::ensure(&kafka).await.expect("topics");
    let other_database = database().await;
    let other = store(&other_database).await;
    let upto = append_some(&other, 30).await;
    let mut teller = Teller::new(&other, &kafka);
    let mut encoder = Encoder::default();
    let mut lasts = std::collections::HashMap::new();
    for event in teller.news().await {
        let mut headers = Some(OwnedHeaders::new());
        let prev = lasts.insert(event.partition, event.position).unwrap_or_default();
        let encoded = encoder.encode(&event.as_ref(), prev, |key, value| {
            headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
        });
        teller.send(LogTopic::Events, event.partition, headers.expect("headers"), Some(encoded.value.as_bytes()));
    }
    teller.flush().await;
    assert!(tails(&kafka).await.iter().all(|tail| tail.log.is_none()));
    for streams in [3, 60] {
        let database = database().await;
        let store = of_relayed(&database, &kafka).await;
        append_some(&store, streams).await;
        assert_eq!(assert_keeps_out(&store, &kafka).await.theirs, None);
    }
    // Whose they are knows them again, without ever having written down that it was there.
    let mut relay = run(&other, relay_options(&kafka));
    relay.until(|state| state.doing.is_leading()).await;
    relay.until_relayed(upto).await;
}

/// Whose process follows the topics of another log sees its own, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_sees_nothing_of_another_log() {
    let kafka = options().await;
    let (_other_database, other, _) = of_another(&kafka, 5).await;
    let database = database().await;
    let (reader, writer) = (of_relayed(&database, &kafka).await, store(&database).await);
    append_some(&writer, 5).await;
    let mut relay = run(&other, relay_options(&kafka));
    relay.until(|state| state.doing.is_leading()).await;
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position::START));
    let mut commands = reader.follow_commands(Position::START);
    let (mut seen, mut seen_commands) = (vec![], vec![]);
    let mut upto = Position::START;
    let following = async {
        // Until both consumers have met what the other log says, at positions that this one has, or is about to have.
        while upto < Position(100) || reader.kafka_counts().0.foreign < 20 || reader.kafka_counts().1.foreign < 5 {
            append_some(&other, 4).await;
            upto = append_some(&writer, 2).await;
            while seen.last().is_none_or(|(position, _)| *position < upto) {
                let batch = feed.next().await.expect("a batch");
                seen.extend(batch.events.iter().map(|event| (event.position, event.event_id)));
            }
            let mut at = Position::START;
            while at < upto {
                let batch = commands.next().await.expect("a batch");
                seen_commands.extend(batch.events.iter().map(|event| (event.position, event.event_id)));
                at = batch.upto;
            }
        }
    };
    let followed = tokio::time::timeout(PATIENCE, following).await;
    assert!(followed.is_ok(), "{:?}", reader.kafka_counts());
    let log = crate::topic::log(&writer, upto).await;
    assert!(seen.iter().copied().eq(log.iter().map(|event| (event.position, event.event_id))));
    // Of each partition they come in order.
    seen_commands.sort_unstable();
    let held = log.iter().filter(|event| LogTopic::StationCommands.holds(&event.event_type));
    assert!(seen_commands.iter().copied().eq(held.map(|event| (event.position, event.event_id))));
    assert_eq!(reader.kafka_counts().0.taken, 0);
}
