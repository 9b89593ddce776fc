//! A producer that tells the log to Kafka as the relay does, or as badly as a test wants it to.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use event_store::EventStore;
use event_store::kafka::{KafkaOptions, topics};
use event_store::stored::Filter;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use schema::log::{Generation, Position};
use schema::partition::{PARTITION_COUNT, Partition};
use schema::record::{Encoder, header, watermark_headers};
use schema::stored::StoredEvent;
use schema::topics::{LogTopic, Topics};
use uuid::Uuid;

use crate::support::PATIENCE;

/// Topics of its own at these brokers.
pub async fn kafka_at(brokers: &str) -> KafkaOptions {
    let prefix = embedded_kafka::testing::topic_prefix();
    let options =
        KafkaOptions { topics: Topics::new(prefix).expect("a prefix"), ..KafkaOptions::new(brokers.to_owned()) };
    topics::ensure(&options).await.expect("topics");
    options
}

pub struct Teller {
    store: EventStore,
    topics: Topics,
    producer: ThreadedProducer<DefaultProducerContext>,
    /// With which log its records say that they are of.
    encoder: Option<(Encoder, Uuid)>,
    /// Or they don't, as those of older relays.
    tells_log: bool,
    /// Of each partition of each topic.
    prev: [[Position; PARTITION_COUNT as usize]; 2],
    /// Which record was before each.
    before: HashMap<(LogTopic, Position), Position>,
    /// Where an event of a topic was left out and none told since: a watermark would be a lie.
    lacking: HashSet<(LogTopic, u8)>,
    /// Up to where the log was read.
    at: Position,
}

impl Teller {
    pub fn new(store: &EventStore, kafka: &KafkaOptions) -> Self {
        let mut config = kafka.client();
        config.set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "0");
        Self {
            store: store.clone(),
            topics: kafka.topics.clone(),
            producer: config.create().expect("a producer"),
            encoder: None,
            tells_log: true,
            prev: [[Position::START; PARTITION_COUNT as usize]; 2],
            before: HashMap::new(),
            lacking: HashSet::new(),
            at: Position::START,
        }
    }

    /// What was appended since it was last asked.
    pub async fn news(&mut self) -> Vec<StoredEvent> {
        let (head, _) = self.store.head().await.expect("a head");
        let mut news = vec![];
        if let (None, Some(log)) = (&self.encoder, self.store.identity().await.expect("asked")) {
            self.encoder = Some((Encoder::of_log(log), log));
        }
        while self.at < head {
            let look = self.store.look(self.at, head, &Filter::default()).await.expect("a look");
            news.extend(look.events);
            self.at = look.upto;
        }
        news
    }

    /// Whether records from now on say of which log they are.
    pub fn tells_log(&mut self, tells: bool) {
        self.tells_log = tells;
    }

    /// Passes over what there is.
    pub async fn at_head(&mut self) {
        self.at = self.store.head().await.expect("a head").0;
    }

    /// Into all topics that hold it.
    pub fn tell(&mut self, event: &StoredEvent) {
        self.step(event, true);
    }

    /// As if the record had been lost.
    pub fn leave_out(&mut self, event: &StoredEvent) {
        self.step(event, false);
    }

    fn step(&mut self, event: &StoredEvent, tells: bool) {
        for (topic, prevs) in LogTopic::ALL.into_iter().zip(&mut self.prev) {
            if !topic.holds(&event.event_type) {
                continue;
            }
            let prev = &mut prevs[usize::from(event.partition)];
            let lacks = (topic, event.partition);
            if !tells {
                self.lacking.insert(lacks);
            } else if event.position > *prev {
                self.lacking.remove(&lacks);
            }
            let before = *self.before.entry((topic, event.position)).or_insert(*prev);
            *prev = event.position.max(*prev);
            if tells {
                let mut headers = Some(OwnedHeaders::new());
                let (encoder, _) = self.encoder.as_mut().expect("it was asked for news");
                let tells_log = self.tells_log;
                let encoded = encoder.encode(&event.as_ref(), before, |key, value| {
                    if key == header::LOG && !tells_log {
                        return;
                    }
                    headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
                });
                let (key, value) = (encoded.key.to_owned(), encoded.value.to_owned());
                send(
                    &self.producer,
                    &self.topics.of(topic),
                    event.partition,
                    headers.expect("headers"),
                    Some(&key),
                    Some(value.as_bytes()),
                );
            }
        }
    }

    /// In all partitions of both topics.
    pub fn watermark(&self, upto: Position, generation: Generation) {
        let (_, log) = self.encoder.as_ref().expect("it was asked for news");
        for topic in LogTopic::ALL {
            let lacks = |partition: &Partition| self.lacking.contains(&(topic, partition.number()));
            for partition in Partition::all().filter(|partition| !lacks(partition)) {
                let headers = watermark_headers(upto, generation, *log)
                    .into_iter()
                    .filter(|(key, _)| *key != header::LOG || self.tells_log)
                    .fold(OwnedHeaders::new(), |headers, (key, value)| {
                        headers.insert(Header { key, value: Some(value.as_str()) })
                    });
                self.send(topic, partition.number(), headers, None);
            }
        }
    }

    pub fn send(&self, topic: LogTopic, partition: u8, headers: OwnedHeaders, value: Option<&[u8]>) {
        send(&self.producer, &self.topics.of(topic), partition, headers, None, value);
    }

    /// Waits until the brokers have all of it.
    pub async fn flush(&self) {
        let producer = self.producer.clone();
        tokio::task::spawn_blocking(move || producer.flush(PATIENCE))
            .await
            .expect("a thread")
            .expect("all is delivered");
    }
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    partition: u8,
    headers: OwnedHeaders,
    key: Option<&str>,
    value: Option<&[u8]>,
) {
    let mut record = BaseRecord::<str, [u8]>::to(topic).partition(i32::from(partition)).headers(headers);
    (record.key, record.payload) = (key, value);
    while let Err((error, refused)) = producer.send(record) {
        assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        std::thread::sleep(Duration::from_millis(5));
        record = refused;
    }
}
