//! A thread that takes the records of one topic from the ends of its partitions on, as soon as they come.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use schema::partition::{PARTITION_COUNT, Partition};
use schema::record::Head;

use super::counts::{Count, Counters};
use super::received::{Reader, Received};
use crate::kafka::KafkaOptions;
use crate::kafka::context::{Quiet, because};
use crate::kafka::dead_letters::Letterbox;
use crate::lineage::Identity;

/// How soon it is noticed that the consumer is to end.
const POLL: Duration = Duration::from_millis(100);
/// Records that are handed on together.
const BATCH_RECORDS_MAX: usize = 256;
const METADATA_WITHIN: Duration = Duration::from_secs(5);
const AGAIN_AFTER_MIN: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// What librdkafka is told unless the settings say otherwise. Records are to come at once, and little memory is to be taken: a
/// process that is behind reads Postgres.
const SETTINGS: [(&str, &str); 18] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "latest"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
    // A broker answers as soon as it has anything. A partition that comes to it while an answer is waited for has to wait too.
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    // Bytes, and how long it rests where that much waits for us.
    ("fetch.message.max.bytes", "262144"),
    ("fetch.max.bytes", "4194304"),
    ("queued.min.messages", "2000"),
    ("queued.max.messages.kbytes", "8192"),
    ("fetch.queue.backoff.ms", "5"),
    ("socket.nagle.disable", "true"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
];

/// What takes the records. Called on the consumer's thread.
pub(crate) trait Sink: Send + 'static {
    /// Whether the record need be decoded.
    fn wants(&mut self, partition: Partition, head: &Head) -> bool;
    /// In the order of each partition. False: nobody is there for them any more.
    fn take(&mut self, received: Vec<Received>) -> bool;
}

/// Ends its thread when it is dropped.
#[derive(Debug)]
pub(crate) struct Consumer(Arc<Signals>);

#[derive(Debug, Default)]
struct Signals {
    stop: AtomicBool,
    renew: AtomicBool,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}

impl Consumer {
    /// # Errors
    /// When there can be no further thread.
    pub fn start(
        options: &KafkaOptions,
        topic: String,
        letters: Letterbox,
        identity: Identity,
        counters: Arc<Counters>,
        sink: impl Sink,
    ) -> std::io::Result<Self> {
        let signals = Arc::<Signals>::default();
        let thread = Thread {
            config: config(options),
            reader: Reader::new(letters, identity),
            counters,
            sink: Box::new(sink),
            signals: Arc::clone(&signals),
            complaints: HashSet::new(),
            topic,
        };
        let name = format!("kafka-{}", thread.counters.topic());
        std::thread::Builder::new().name(name).spawn(move || thread.run())?;
        Ok(Self(signals))
    }

    /// Begins anew with another client: this one brings nothing although it should.
    pub fn renew(&self) {
        self.0.renew.store(true, Ordering::Release);
    }
}

fn config(options: &KafkaOptions) -> ClientConfig {
    let mut config = options.client();
    for (name, value) in SETTINGS {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    // librdkafka assigns nothing without one. Nobody joins it, and nothing is committed to it.
    config.set("group.id", format!("{}.tail", options.topics.prefix()));
    config
}

struct Thread {
    config: ClientConfig,
    topic: String,
    reader: Reader,
    counters: Arc<Counters>,
    sink: Box<dyn Sink>,
    signals: Arc<Signals>,
    /// What was logged since a record last came.
    complaints: HashSet<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no consumer can be made")]
    Client(#[source] KafkaError),
    #[error("nothing can be learned of the topic{}", because(.why.as_deref()))]
    Metadata { why: Option<String>, source: KafkaError },
    #[error("the topic {topic} is not there yet: the relay makes it")]
    NoTopic { topic: String },
    #[error(
        "the topic {topic} has {partitions} partitions and not {PARTITION_COUNT}: it is another program's, or was made by \
         hand. Name another prefix of topics, or delete it so that the relay makes it"
    )]
    Partitions { topic: String, partitions: usize },
    #[error("its partitions can't be consumed")]
    Assign(#[source] KafkaError),
    #[error("the client can't go on")]
    Fatal(#[source] KafkaError),
    #[error("it has brought nothing for long")]
    Silent,
}

impl Thread {
    fn run(mut self) {
        let mut pause = AGAIN_AFTER_MIN;
        while !self.is_stopped() {
            let began = Instant::now();
            let ended = self.connect().and_then(|consumer| self.consume(&consumer));
            let Err(error) = ended else { return };
            self.complain(&error);
            if began.elapsed() > AGAIN_AFTER_MAX {
                pause = AGAIN_AFTER_MIN;
            }
            let until = Instant::now() + pause;
            while !self.is_stopped() && Instant::now() < until {
                std::thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
            }
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
        }
    }

    fn is_stopped(&self) -> bool {
        self.signals.stop.load(Ordering::Acquire)
    }

    /// A consumer at the end of all partitions.
    fn connect(&mut self) -> Result<BaseConsumer<Quiet>, Error> {
        let consumer: BaseConsumer<Quiet> = self.config.create_with_context(Quiet::default()).map_err(Error::Client)?;
        let topic = self.topic.as_str();
        let unanswered = |source| Error::Metadata { why: Quiet::why_of(&consumer), source };
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_WITHIN).map_err(unanswered)?;
        let partitions =
            metadata.topics().iter().find(|found| found.name() == topic).map(|found| match found.error() {
                Some(_) => 0,
                None => found.partitions().len(),
            });
        match partitions {
            None | Some(0) => return Err(Error::NoTopic { topic: topic.to_owned() }),
            Some(partitions) if partitions != usize::from(PARTITION_COUNT) => {
                return Err(Error::Partitions { topic: topic.to_owned(), partitions });
            }
            Some(_) => {}
        }
        let mut all = TopicPartitionList::with_capacity(usize::from(PARTITION_COUNT));
        for partition in Partition::all() {
            all.add_partition_offset(topic, i32::from(partition.number()), Offset::End).map_err(Error::Assign)?;
        }
        consumer.assign(&all).map_err(Error::Assign)?;
        self.signals.renew.store(false, Ordering::Release);
        self.counters.add(Count::Begun, 1);
        tracing::info!(topic, "consuming from the ends of the partitions");
        Ok(consumer)
    }

    /// Until nobody wants it any more, which is no error.
    fn consume(&mut self, consumer: &BaseConsumer<Quiet>) -> Result<(), Error> {
        let mut received = vec![Received::Begun];
        loop {
            let mut wait = POLL;
            while received.len() < BATCH_RECORDS_MAX {
                match consumer.poll(wait) {
                    None => break,
                    Some(Ok(message)) => {
                        wait = Duration::ZERO;
                        if !self.complaints.is_empty() {
                            self.complaints.clear();
                            consumer.context().forget();
                        }
                        let Some(partition) = u8::try_from(message.partition()).ok().and_then(Partition::new) else {
                            continue;
                        };
                        let sink = &mut self.sink;
                        let content =
                            self.reader.read(partition, &message, |partition, head| sink.wants(partition, head));
                        if let Some(content) = content {
                            received.push(Received::Record { partition, offset: message.offset(), content });
                        }
                    }
                    Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(Error::Fatal(error)),
                    Some(Err(error)) => self.complain_of(&error, consumer.context()),
                }
            }
            if self.is_stopped() || (!received.is_empty() && !self.sink.take(std::mem::take(&mut received))) {
                return Ok(());
            }
            if self.signals.renew.load(Ordering::Acquire) {
                return Err(Error::Silent);
            }
        }
    }

    /// Each complaint once, until a record comes.
    fn complain(&mut self, error: &Error) {
        let error = error as &dyn std::error::Error;
        let source = error.source().map(ToString::to_string);
        if self.complaints.insert(format!("{error} {source:?}")) {
            tracing::warn!(topic = self.topic, error, "Kafka brings nothing; Postgres is read instead");
        }
    }

    fn complain_of(&mut self, error: &KafkaError, context: &Quiet) {
        let known = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if self.complaints.insert(format!("{known:?}")) {
            let why = context.why();
            tracing::warn!(topic = self.topic, %error, why, "Kafka brings not everything now; what is missing is read from Postgres");
        }
    }
}
