//! The producer, and what of it Kafka has acknowledged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use schema::log::{Generation, Position};
use schema::partition::PARTITION_COUNT;
use schema::record::{Encoder, watermark_headers};
use schema::stored::StoredRef;
use schema::topics::{LogTopic, RECORD_BYTES_MAX};
use tokio::sync::Notify;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::tails::Tails;
use crate::kafka::KafkaOptions;
use crate::kafka::context::Quiet;

/// Records that librdkafka keeps: more than the window of the relay, with two for each event and the watermarks.
const QUEUE_RECORDS_MAX: u32 = 500_000;
/// Clients that share the partitions. librdkafka sends a request for each partition, and a broker answers those of a connection
/// one after the other: by one connection, a few hundred events in a second wait for each other.
const CLIENTS: usize = 4;
/// Where librdkafka's queue is full all the same.
const QUEUE_WAIT: Duration = Duration::from_millis(5);

/// How the relay produces, whatever the options say of other things.
///
/// Nothing may be left out: so no time limit, since a record that timed out is dropped and the next one sent. `retries` is
/// without end where idempotence is on.
pub fn producer_config(options: &KafkaOptions) -> ClientConfig {
    let mut config = options.client();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("message.timeout.ms", "0")
        .set("compression.codec", "lz4")
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string())
        .set("queue.buffering.max.kbytes", (1024 * 1024).to_string());
    for (name, value) in DEFAULTS {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    config
}

/// What the properties may set otherwise.
const DEFAULTS: [(&str, &str); 4] = [
    // Records gather by themselves while five requests are under way.
    ("linger.ms", "0"),
    ("batch.size", "262144"),
    // A broker that is back is found within a second.
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.nagle.disable", "true"),
];

/// Why nothing more is produced.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Error {
    #[error("Kafka did not take a record")]
    Kafka(#[source] KafkaError),
    #[error("Kafka refuses a record of {topic} as too large")]
    TooLarge { topic: String },
    /// It has lost records, or the topic is another one now.
    #[error(
        "Kafka put a record of partition {partition} of {topic} at offset {offset}, and had acknowledged one at {before}"
    )]
    WentBack { topic: String, partition: i32, offset: i64, before: i64 },
}

impl Error {
    fn of(error: KafkaError, topic: &str) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Self::TooLarge { topic: topic.to_owned() },
            _ => Self::Kafka(error),
        }
    }
}

/// What the acknowledgements say, on librdkafka's thread.
#[derive(Debug)]
pub(super) struct Acks {
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    topics: [String; LogTopic::ALL.len()],
    /// Where the last record of each partition stands, -1 where that is not known. Later ones stand after it.
    ends: [[AtomicI64; PARTITION_COUNT as usize]; LogTopic::ALL.len()],
    /// Why nothing is acknowledged.
    pub said: Quiet,
    /// A stretch is acknowledged whole, or something failed.
    pub moved: Notify,
}

struct Context(Arc<Acks>);

/// The records of a stretch that are not acknowledged, and one while it is being produced.
type Open = Arc<AtomicU32>;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
        self.0.said.keep(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.fail(Error::Kafka(error));
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Open;

    fn delivery(&self, result: &DeliveryResult<'_>, open: Open) {
        match result {
            Ok(message) => {
                self.0.stands_at(message.topic(), message.partition(), message.offset());
                if open.fetch_sub(1, Ordering::AcqRel) == 1 {
                    self.0.moved.notify_one();
                }
            }
            Err((error, message)) => self.0.fail(Error::of(error.clone(), message.topic())),
        }
    }
}

impl Acks {
    fn new(topics: [String; LogTopic::ALL.len()], tails: &Tails) -> Self {
        let end =
            |topic, partition: usize| AtomicI64::new(tails.last(topic, partition as u8).map_or(-1, |tail| tail.offset));
        let ends = LogTopic::ALL.map(|topic| std::array::from_fn(|partition| end(topic, partition)));
        Self {
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            topics,
            ends,
            said: Quiet::default(),
            moved: Notify::new(),
        }
    }

    /// Where a record stands; a negative offset says that the broker didn't tell.
    fn stands_at(&self, topic: &str, partition: i32, offset: i64) {
        let ends = self.topics.iter().position(|name| name == topic).map(|topic| &self.ends[topic]);
        let Some(end) = ends.and_then(|ends| ends.get(partition as usize)) else { return };
        let before = end.fetch_max(offset, Ordering::AcqRel);
        if (0..=before).contains(&offset) {
            self.fail(Error::WentBack { topic: topic.to_owned(), partition, offset, before });
        }
    }

    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        self.moved.notify_one();
    }

    fn check(&self) -> Result<(), Error> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(failure.unwrap_or(Error::Kafka(KafkaError::Canceled)))
    }
}

/// Idempotent producers with a window of what is under way.
pub(super) struct Producer {
    /// Each has the partitions of its remainder.
    clients: Vec<ThreadedProducer<Context>>,
    pub acks: Arc<Acks>,
    /// Of the log that the records are of, with the id of its first event; none: it has no event yet.
    encoder: Option<(Encoder, Uuid)>,
    topics: [String; LogTopic::ALL.len()],
    window: VecDeque<Stretch>,
    pub events: usize,
    pub bytes: usize,
    /// Of watermarks, for which nobody waits.
    uncounted: Open,
}

/// What was produced together.
struct Stretch {
    open: Open,
    /// How things stand when it is acknowledged.
    then: Checkpoint,
    events: usize,
    bytes: usize,
}

/// A stretch that is being produced.
pub(super) struct Opened {
    open: Open,
    bytes: usize,
}

impl Producer {
    /// `tails`: what there is in Kafka before.
    pub fn new(options: &KafkaOptions, tails: &Tails) -> Result<Self, Error> {
        let topics = LogTopic::ALL.map(|topic| options.topics.of(topic));
        let acks = Arc::new(Acks::new(topics.clone(), tails));
        let config = producer_config(options);
        let client = |_| config.create_with_context(Context(Arc::clone(&acks)));
        Ok(Self {
            clients: (0..CLIENTS).map(client).collect::<Result<_, _>>().map_err(Error::Kafka)?,
            acks,
            encoder: None,
            topics,
            window: VecDeque::new(),
            events: 0,
            bytes: 0,
            // Never the last one.
            uncounted: Arc::new(AtomicU32::new(u32::MAX / 2)),
        })
    }

    /// Whose log the records are of: to be said before there are any.
    pub fn tells_of(&mut self, log: Uuid) {
        self.encoder = Some((Encoder::of_log(log), log));
    }

    /// Whether it was said.
    pub fn knows_the_log(&self) -> bool {
        self.encoder.is_some()
    }

    pub fn open(&self) -> Opened {
        Opened { open: Arc::new(AtomicU32::new(1)), bytes: 0 }
    }

    /// One event into one topic.
    pub async fn event(
        &mut self,
        into: LogTopic,
        event: &StoredRef<'_>,
        prev: Position,
        stretch: &mut Opened,
    ) -> Result<(), Error> {
        let Self { clients, acks, encoder: Some((encoder, _)), topics, .. } = self else {
            return Err(Error::Kafka(KafkaError::Canceled));
        };
        let mut headers = Some(OwnedHeaders::new_with_capacity(8));
        let encoded = encoder.encode(event, prev, |key, value| {
            headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
        });
        stretch.bytes += encoded.value.len();
        stretch.open.fetch_add(1, Ordering::AcqRel);
        let record = BaseRecord::with_opaque_to(topic_name(topics, into), Arc::clone(&stretch.open))
            .partition(event.partition.into())
            .key(encoded.key)
            .payload(encoded.value)
            .headers(headers.unwrap_or_default());
        send(client_of(clients, event.partition), acks, record).await
    }

    /// All of a stretch has been produced. `then`: how things stand when it is acknowledged.
    pub fn close(&mut self, stretch: Opened, events: usize, then: Checkpoint) {
        let Opened { open, bytes } = stretch;
        if open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.acks.moved.notify_one();
        }
        self.events += events;
        self.bytes += bytes;
        self.window.push_back(Stretch { open, then, events, bytes });
    }

    pub async fn watermark(
        &mut self,
        into: LogTopic,
        partition: u8,
        upto: Position,
        generation: Generation,
    ) -> Result<(), Error> {
        let Self { clients, acks, topics, uncounted, encoder: Some((_, log)), .. } = self else {
            return Err(Error::Kafka(KafkaError::Canceled));
        };
        uncounted.fetch_add(1, Ordering::AcqRel);
        let mut headers = OwnedHeaders::new_with_capacity(3);
        for (key, value) in &watermark_headers(upto, generation, *log) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let record: BaseRecord<'_, str, str, Open> =
            BaseRecord::with_opaque_to(topic_name(topics, into), Arc::clone(uncounted))
                .partition(partition.into())
                .headers(headers);
        send(client_of(clients, partition), acks, record).await
    }

    /// How far everything is acknowledged, if that is farther than before.
    ///
    /// # Errors
    /// When something was not taken: no further record of this producer may be.
    pub fn acknowledged(&mut self) -> Result<Option<Checkpoint>, Error> {
        self.acks.check()?;
        let mut then = None;
        while let Some(first) = self.window.front().filter(|first| first.open.load(Ordering::Acquire) == 0) {
            then = Some(first.then);
            self.events -= first.events;
            self.bytes -= first.bytes;
            self.window.pop_front();
        }
        Ok(then)
    }

    pub fn is_idle(&self) -> bool {
        self.window.is_empty()
    }
}

/// What was not sent is thrown away; on a thread of its own, since librdkafka takes its time.
impl Drop for Producer {
    fn drop(&mut self) {
        let clients = std::mem::take(&mut self.clients);
        std::thread::spawn(move || {
            for client in &clients {
                client.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
            }
        });
    }
}

fn client_of(clients: &[ThreadedProducer<Context>], partition: u8) -> &ThreadedProducer<Context> {
    &clients[usize::from(partition) % CLIENTS]
}

fn topic_name(topics: &[String; LogTopic::ALL.len()], topic: LogTopic) -> &str {
    match topic {
        LogTopic::Events => &topics[0],
        LogTopic::StationCommands => &topics[1],
    }
}

async fn send(
    client: &ThreadedProducer<Context>,
    acks: &Acks,
    mut record: BaseRecord<'_, str, str, Open>,
) -> Result<(), Error> {
    loop {
        match client.send(record) {
            Ok(()) => return Ok(()),
            Err((error, again)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                acks.check()?;
                record = again;
                tokio::time::sleep(QUEUE_WAIT).await;
            }
            Err((error, record)) => return Err(Error::of(error, record.topic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_below_an_acknowledged_one_ends_the_producer() {
        let acks = Acks::new(["x.events".to_owned(), "x.station-commands".to_owned()], &Tails::default());
        for (topic, partition, offset) in [
            // The first one, the next ones, and one of which the broker didn't say where it stands.
            ("x.events", 3, 7),
            ("x.events", 3, 8),
            ("x.events", 3, -1),
            ("x.events", 3, 9),
            ("x.events", 4, 0),
            ("x.station-commands", 3, 0),
            ("another", 3, 0),
        ] {
            acks.stands_at(topic, partition, offset);
            assert!(acks.check().is_ok(), "{topic} {partition} {offset}");
        }
        acks.stands_at("x.events", 3, 0);
        assert!(matches!(acks.check(), Err(Error::WentBack { partition: 3, offset: 0, before: 9, .. })));
    }

    #[test]
    fn a_record_that_is_too_large_is_told_from_a_kafka_that_is_down() {
        let of = |code| Error::of(KafkaError::MessageProduction(code), "x.events");
        assert!(matches!(of(RDKafkaErrorCode::MessageSizeTooLarge), Error::TooLarge { topic } if topic == "x.events"));
        assert!(matches!(of(RDKafkaErrorCode::NotEnoughReplicas), Error::Kafka(_)));
    }
}
