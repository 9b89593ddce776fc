//! What the tests see of Kafka: topics read from their beginnings, by the consumer's rule.

use std::time::{Duration, Instant};

use domain::event::{AggregateType, Event};
use embedded_kafka::testing;
use event_store::kafka::{KafkaOptions, Relay, RelayOptions, RelayState};
use event_store::stored::Filter;
use event_store::{EventStore, Expected, Write};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schema::log::{Generation, NewEvent, Position, StreamId};
use schema::partition::PARTITION_COUNT;
use schema::record::{self, Head};
use schema::stored::StoredEvent;
use schema::topics::{LogTopic, Topics};
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::{PATIENCE, append, envelope, stream, write};

/// Topics of one test's own, on the brokers that all share.
pub async fn options() -> KafkaOptions {
    options_at(testing::brokers().await)
}

pub fn options_at(brokers: &str) -> KafkaOptions {
    let topics = Topics::new(testing::topic_prefix()).expect("a prefix");
    KafkaOptions { topics, ..KafkaOptions::new(brokers) }
}

/// Takes over fast.
pub fn relay_options(kafka: &KafkaOptions) -> RelayOptions {
    RelayOptions { lease_ttl: Duration::from_secs(2), ..RelayOptions::new(kafka.clone()) }
}

/// A relay that ends when it is dropped, as a process does that is killed.
pub struct Running {
    pub state: watch::Receiver<RelayState>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn run(store: &EventStore, options: RelayOptions) -> Running {
    let relay = Relay::new(store.clone(), options);
    let state = relay.state();
    Running { state, task: tokio::spawn(relay.run(std::future::pending())) }
}

impl Running {
    pub async fn until(&mut self, is: impl FnMut(&RelayState) -> bool) -> RelayState {
        until(&mut self.state, is).await
    }

    pub async fn until_relayed(&mut self, upto: Position) {
        self.until(|state| state.relayed >= upto).await;
    }
}

pub async fn until(state: &mut watch::Receiver<RelayState>, is: impl FnMut(&RelayState) -> bool) -> RelayState {
    let found = tokio::time::timeout(PATIENCE, state.wait_for(is)).await;
    let found = found.map(|state| state.expect("the relay lives").clone());
    found.unwrap_or_else(|_| panic!("the relay is still {:?}", state.borrow()))
}

/// Two events each of some tokens, and of some charge points what edges follow. Answers the end of the log.
pub async fn append_some(store: &EventStore, streams: usize) -> Position {
    let tokens = (0..streams).map(|_| write(stream(), 0, 2));
    let connected = |_| {
        let stream = StreamId { aggregate: AggregateType::ChargePoint, id: Uuid::now_v7() };
        let of = |event_type| schema::golden::find(event_type, "1").expect("a golden event").payload;
        let events = ["ChargePointConnected", "ChargePointBooted"].map(|event_type| {
            let event = Event::from_json(AggregateType::ChargePoint, of(event_type)).expect("an event");
            NewEvent::new(event, envelope(), stream.id)
        });
        Write { stream, expected: Expected::version(0), events: events.into(), fence: None }
    };
    let writes = tokens.chain((0..streams.div_ceil(4)).map(connected));
    let appends = writes.map(|write| store.append(append(vec![write])));
    let mut upto = Position::START;
    for outcome in futures_util::future::join_all(appends).await {
        upto = upto.max(outcome.expect("appended").position());
    }
    upto
}

/// Until a checkpoint says that everything up to there is in Kafka.
pub async fn until_written(pool: &PgPool, upto: Position) {
    let written = async {
        let text = "SELECT coalesce(max(position), 0) FROM relay";
        while sqlx::query_scalar::<_, i64>(text).fetch_one(pool).await.expect("asked") < upto.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("there is a checkpoint");
}

/// Runs a test with metrics of its own: all of a relay is on this thread, and nobody else's.
pub fn measured(test: impl AsyncFnOnce(PrometheusHandle)) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let told = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test(told));
}

/// The value of a metric without labels.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// What a consumer gets of a topic.
#[derive(Debug, Default)]
pub struct Taken {
    pub events: Vec<StoredEvent>,
    /// Records that were not above the last one taken, by generation and position.
    pub dropped: usize,
    pub watermarks: usize,
}

/// Everything of a topic up to where each partition says that all up to a position is there, by the consumer's rule.
pub async fn take(options: &KafkaOptions, topic: LogTopic, upto: Position) -> Taken {
    take_of(options, topic, upto, History::One).await
}

/// What is in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Only what the log has: before each record stands the one that it says.
    One,
    /// Also what the log has lost: before each record stands at least as much as it says. With the generation that it is in.
    Several(Generation),
}

/// [`take`], where the log may have lost something.
pub async fn take_of(options: &KafkaOptions, topic: LogTopic, upto: Position, history: History) -> Taken {
    let options = options.clone();
    tokio::task::spawn_blocking(move || take_blocking(&options, topic, upto, history)).await.expect("taken")
}

fn take_blocking(options: &KafkaOptions, topic: LogTopic, upto: Position, history: History) -> Taken {
    let mut config: ClientConfig = options.client();
    config.set("group.id", "test").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITION_COUNT {
        all.add_partition_offset(&options.topics.of(topic), partition.into(), Offset::Beginning).expect("a partition");
    }
    consumer.assign(&all).expect("assigned");
    let mut taken = Taken::default();
    // Of each partition: the last one taken, and the last event.
    let mut lasts = [((Generation(0), Position::START), Position::START); PARTITION_COUNT as usize];
    let generation = match history {
        History::One => Generation(0),
        History::Several(generation) => generation,
    };
    // Which ones have told their end since all was there.
    let mut ended = [false; PARTITION_COUNT as usize];
    let began = Instant::now();
    while !ended.iter().all(|ended| *ended) {
        assert!(began.elapsed() < PATIENCE, "{topic}: the watermarks are at {lasts:?}");
        let message = match consumer.poll(Duration::from_millis(200)) {
            None => continue,
            Some(Ok(message)) => message,
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                let slot = usize::try_from(partition).expect("a partition");
                let (of, position) = lasts[slot].0;
                ended[slot] = of >= generation && position >= upto;
                continue;
            }
            Some(Err(error)) => panic!("{error}"),
        };
        let partition = u8::try_from(message.partition()).expect("a partition");
        let headers = message.headers().expect("headers");
        let head = record::head(headers.iter().map(|header| (header.key, header.value))).expect("a head");
        let (last, last_event) = &mut lasts[usize::from(partition)];
        let place = (head.generation(), head.position());
        if place <= *last {
            taken.dropped += 1;
            continue;
        }
        let (_, before) = std::mem::replace(last, place);
        match head {
            Head::Watermark { .. } => {
                assert!(message.key().is_none() && message.payload().is_none());
                taken.watermarks += 1;
            }
            Head::Event { position, prev, .. } => {
                match history {
                    History::One => assert_eq!(prev, *last_event, "{topic} {partition}: what is before {position}"),
                    History::Several(_) => {
                        assert!(prev <= before, "{topic} {partition}: before {position} {prev} lacks")
                    }
                }
                *last_event = position;
                let event = record::decode(position, message.payload().expect("a value")).expect("an event");
                assert_eq!(event.partition, partition);
                assert_eq!(message.key(), Some(event.partition_key.to_string().as_bytes()));
                taken.events.push(event);
            }
        }
    }
    taken.events.sort_by_key(|event| event.position);
    taken
}

/// The log as it is stored.
pub async fn log(store: &EventStore, upto: Position) -> Vec<StoredEvent> {
    let mut events = vec![];
    let mut at = Position::START;
    while at < upto {
        let look = store.look(at, upto, &Filter::default()).await.expect("the log");
        events.extend(look.events);
        at = look.upto;
    }
    events
}

/// Both topics have what the log has, each event once, in its partition's order, told to be all. Answers how much was there
/// twice.
pub async fn assert_relayed(store: &EventStore, options: &KafkaOptions, upto: Position) -> usize {
    let log = log(store, upto).await;
    assert_eq!(log.len() as i64, upto.0);
    let mut dropped = 0;
    for topic in LogTopic::ALL {
        let taken = take(options, topic, upto).await;
        let expected: Vec<_> = log.iter().filter(|event| topic.holds(&event.event_type)).collect();
        assert!(!expected.is_empty(), "the test appends what {topic} holds");
        let positions = |events: &[&StoredEvent]| events.iter().map(|event| event.position.0).collect::<Vec<_>>();
        let got: Vec<_> = taken.events.iter().collect();
        assert_eq!(positions(&got), positions(&expected), "{topic}");
        assert!(got == expected, "{topic}: equal to the byte");
        // One may end with an event at that very position.
        assert!(taken.watermarks >= usize::from(PARTITION_COUNT) - 1);
        dropped += taken.dropped;
    }
    dropped
}
