//! Three brokers: one may be lost and nothing stops; two, and the log goes on without Kafka.

use std::time::Duration;

use embedded_kafka::{EmbeddedKafka, testing};
use event_store::kafka::{Doing, KafkaOptions, RelayState, topics};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use schema::log::Position;
use schema::topics::{LogTopic, RECORD_BYTES_MAX};

use crate::support::{PATIENCE, database, store};
use crate::topic::{append_some, assert_relayed, options_at, relay_options, run};

/// Who leads the partitions of a topic, -1: nobody; and on how many brokers each is.
async fn leaders(kafka: &KafkaOptions, topic: String) -> Vec<(i32, usize)> {
    let config = kafka.client();
    let ask = move || {
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE).expect("metadata");
        metadata.topics()[0].partitions().iter().map(|of| (of.leader(), of.replicas().len())).collect()
    };
    tokio::task::spawn_blocking(ask).await.expect("asked")
}

async fn setting(kafka: &KafkaOptions, topic: &str, name: &str) -> Option<String> {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().expect("an admin");
    let asked = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await;
    let mut resource = asked.expect("asked").remove(0).expect("told");
    let at = resource.entries.iter().position(|entry| entry.name == name)?;
    resource.entries.swap_remove(at).value
}

async fn kill_in_the_midst(kafka: &EmbeddedKafka, number: u16) {
    tokio::time::sleep(Duration::from_millis(30)).await;
    kafka.kill(number).await.expect("it is killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_are_lost_and_the_log_is_not() {
    let database = database().await;
    let store = store(&database).await;
    let brokers = testing::own(|options| options.nodes = 3).await;
    let kafka = options_at(&brokers.brokers());
    all_take_part(&kafka, 3).await;
    topics::ensure(&kafka).await.expect("topics");
    for topic in LogTopic::ALL.map(|topic| kafka.topics.of(topic)) {
        let leaders = leaders(&kafka, topic.clone()).await;
        assert!(leaders.iter().all(|(_, replicas)| *replicas == 3), "{topic}: {leaders:?}");
        assert_eq!(setting(&kafka, &topic, "min.insync.replicas").await.as_deref(), Some("2"));
        assert_eq!(setting(&kafka, &topic, "unclean.leader.election.enable").await.as_deref(), Some("false"));
    }
    let mut options = relay_options(&kafka);
    options.kafka_patience = Duration::from_secs(6);
    let mut relay = run(&store, options);
    let upto = append_some(&store, 50).await;
    relay.until_relayed(upto).await;

    // Each leads some partitions. What it had not told the others of is produced again.
    for number in brokers.nodes() {
        let leads =
            leaders(&kafka, kafka.topics.events()).await.iter().filter(|(id, _)| *id == i32::from(number)).count();
        assert!(leads > 0, "broker {number} leads nothing");
        let appending = async {
            let mut upto = Position::START;
            for _ in 0..5 {
                upto = append_some(&store, 40).await;
            }
            upto
        };
        let (upto, ()) = tokio::join!(appending, kill_in_the_midst(&brokers, number));
        relay.until_relayed(upto).await;
        let upto = append_some(&store, 20).await;
        relay.until_relayed(upto).await;
        brokers.restart(number).await.expect("it comes back");
        // Until the preferred leaders lead again, the next one may have few partitions; it has some at once.
        assert_relayed(&store, &kafka, upto).await;
        wait_for_leader(&kafka, number).await;
    }

    // Two: one is fewer than have to have a record.
    let before = relay.state.borrow().relayed;
    brokers.kill(1).await.expect("killed");
    let upto = append_some(&store, 20).await;
    relay.until_relayed(upto).await;
    tokio::join!(append_some(&store, 100), kill_in_the_midst(&brokers, 2));
    // All of that may have been acknowledged before; this can't be.
    let upto = append_some(&store, 5).await;
    let state = relay.until(|state| state.doing.is_kafka_down() && state.head >= upto).await;
    assert!(state.relayed >= before && state.lag() > 0, "{state:?}");
    // For long enough that the leader gives up, and can't lead again.
    let until = tokio::time::Instant::now() + Duration::from_secs(12);
    let mut upto = upto;
    while tokio::time::Instant::now() < until {
        upto = append_some(&store, 10).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let state = relay.until(|state| state.head >= upto).await;
    assert!(state.doing.is_kafka_down(), "{state:?}");
    brokers.start_stopped().await.expect("both come back");
    relay.until_relayed(upto).await;
    let state = relay.until(|state| state.doing.is_leading()).await;
    assert_eq!(state.lag(), 0, "{state:?}");
    assert_relayed(&store, &kafka, upto).await;
    brokers.stop().await;
}

async fn wait_for_leader(kafka: &KafkaOptions, number: u16) {
    let until = tokio::time::Instant::now() + PATIENCE;
    // In sync again suffices for the next one to be killed.
    while !in_sync(kafka).await {
        assert!(tokio::time::Instant::now() < until, "broker {number} does not catch up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every partition of the log has all its copies in sync, and a leader.
async fn in_sync(kafka: &KafkaOptions) -> bool {
    let (config, topics) = (kafka.client(), LogTopic::ALL.map(|topic| kafka.topics.of(topic)));
    let ask = move || {
        let consumer: BaseConsumer = config.create().expect("a consumer");
        topics.iter().all(|topic| {
            let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
            metadata.topics()[0].partitions().iter().all(|of| of.leader() >= 0 && of.isr().len() == of.replicas().len())
        })
    };
    tokio::task::spawn_blocking(ask).await.expect("asked")
}

/// All start together: who asks first sees some of the brokers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_have_the_copies_that_are_set_though_a_broker_starts_later() {
    let brokers = testing::own(|options| options.nodes = 3).await;
    let kafka = KafkaOptions { replicas: Some(3), ..options_at(&brokers.brokers()) };
    brokers.kill(3).await.expect("killed");
    all_take_part(&kafka, 2).await;
    let made = async {
        // Each time it waits some seconds for the third one.
        let mut asked = tokio::time::Instant::now();
        while let Err(error) = topics::ensure(&kafka).await {
            assert!(matches!(error, topics::Error::FewBrokers { there: 2, wanted: 3, .. }), "{error:?}");
            assert!(asked.elapsed() > Duration::from_secs(5), "it is waited for: {:?}", asked.elapsed());
            asked = tokio::time::Instant::now();
        }
    };
    let (made, back) = tokio::join!(tokio::time::timeout(PATIENCE, made), brokers.restart(3));
    back.expect("it comes back");
    made.expect("topics");
    for topic in LogTopic::ALL.map(|topic| kafka.topics.of(topic)) {
        let leaders = leaders(&kafka, topic.clone()).await;
        assert!(leaders.iter().all(|(_, replicas)| *replicas == 3), "{topic}: {leaders:?}");
        assert_eq!(setting(&kafka, &topic, "min.insync.replicas").await.as_deref(), Some("2"));
    }
    // One that is gone later is not waited for: they are there.
    brokers.kill(3).await.expect("killed");
    topics::ensure(&kafka).await.expect("as they were");
    brokers.stop().await;
}

/// As many brokers as that are known, no more and no fewer.
async fn all_take_part(kafka: &KafkaOptions, brokers: usize) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while brokers_of(kafka).await != brokers {
        assert!(tokio::time::Instant::now() < until, "waited in vain for {brokers} brokers");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn brokers_of(kafka: &KafkaOptions) -> usize {
    let config = kafka.client();
    let ask = move || {
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.fetch_metadata(None, PATIENCE).expect("metadata").brokers().len()
    };
    tokio::task::spawn_blocking(ask).await.expect("asked")
}

/// Topics made by hand with one copy of each partition: those of a broker that is gone have no leader, and the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_without_a_leader_holds_up_kafka_and_not_the_log() {
    let database = database().await;
    let store = store(&database).await;
    let brokers = testing::own(|options| options.nodes = 3).await;
    let kafka = options_at(&brokers.brokers());
    let alone: Vec<[i32; 1]> = (0..64).map(|partition| [partition % 3 + 1]).collect();
    let placed: Vec<&[i32]> = alone.iter().map(|of| of.as_slice()).collect();
    let names = LogTopic::ALL.map(|topic| kafka.topics.of(topic));
    let bytes = RECORD_BYTES_MAX.to_string();
    let by_hand = names
        .iter()
        .map(|name| NewTopic::new(name, 64, TopicReplication::Variable(&placed)).set("max.message.bytes", &bytes));
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().expect("an admin");
    let made = admin.create_topics(&by_hand.collect::<Vec<_>>(), &AdminOptions::new()).await.expect("asked");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let mut options = relay_options(&kafka);
    options.kafka_patience = Duration::from_secs(4);
    options.tails_within = Duration::from_secs(8);
    let mut relay = run(&store, options);
    let upto = append_some(&store, 50).await;
    relay.until_relayed(upto).await;

    brokers.kill(3).await.expect("killed");
    let upto = append_some(&store, 50).await;
    let state = relay.until(|state| state.doing.is_kafka_down() && state.head >= upto).await;
    assert!(state.relayed < upto, "{state:?}");
    let until = tokio::time::Instant::now() + PATIENCE;
    while !leaders(&kafka, kafka.topics.events()).await.iter().any(|(leader, _)| *leader == -1) {
        assert!(tokio::time::Instant::now() < until, "there is a leader for each partition");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // It gives up, and asks in vain how far the partition is.
    let says_so = |state: &RelayState| match &state.doing {
        Doing::KafkaDown { why, .. } => why.contains("partition"),
        Doing::Standby | Doing::Leading | Doing::Stopped { .. } => false,
    };
    let told = relay.until(says_so).await;
    assert!(matches!(&told.doing, Doing::KafkaDown { why, .. } if why.contains("has not answered")), "{told:?}");
    let upto = append_some(&store, 20).await;
    brokers.restart(3).await.expect("it comes back");
    relay.until_relayed(upto).await;
    relay.until(|state| state.doing.is_leading()).await;
    assert_relayed(&store, &kafka, upto).await;
    brokers.stop().await;
}
