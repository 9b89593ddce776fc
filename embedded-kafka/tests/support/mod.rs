#![allow(dead_code, reason = "each test binary takes what it needs")]
//! A small client.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rdkafka_mended as _;

/// For what a test waits for. Reached only when it never comes.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

pub fn plain(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

pub async fn create(config: &ClientConfig, topic: &str, replicas: i32) {
    let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin client");
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(replicas));
    let made = admin.create_topics(&[topic], &AdminOptions::new().operation_timeout(Some(WAIT_MAX))).await;
    made.expect("an answer").remove(0).expect("the topic is made");
}

/// Acknowledged by all replicas that are in sync.
pub async fn produce(config: &ClientConfig, topic: &str, text: &str) {
    let mut config = config.clone();
    config.set("acks", "all").set("message.timeout.ms", WAIT_MAX.as_millis().to_string());
    let producer: FutureProducer = config.create().expect("a producer");
    let record = FutureRecord::<(), _>::to(topic).payload(text).partition(0);
    producer.send(record, WAIT_MAX).await.map_err(|(error, _)| error).expect("it is delivered");
}

/// The first `number` records of a topic's one partition.
pub async fn consume(config: &ClientConfig, topic: &str, number: usize) -> Vec<String> {
    let mut config = config.clone();
    config.set("group.id", "tests").set("enable.auto.commit", "false");
    let topic = topic.to_owned();
    let read = move || {
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&topic, 0, Offset::Beginning).expect("an offset");
        consumer.assign(&place).expect("it can be assigned");
        let deadline = Instant::now() + WAIT_MAX;
        let mut texts = vec![];
        while texts.len() < number && Instant::now() < deadline {
            // Errors on the way are of nodes that are gone; the client looks for others.
            if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
                texts.push(String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned());
            }
        }
        texts
    };
    tokio::task::spawn_blocking(read).await.expect("it reads")
}

pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !look() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
