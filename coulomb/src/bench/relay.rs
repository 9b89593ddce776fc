//! From Postgres into Kafka, beside rdkafka's bare producer of the same records and beside an ordered read-back of the same
//! events, in the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use embedded_kafka::{EmbeddedKafka, Options};
use event_store::kafka::{KafkaOptions, Relay, RelayOptions};
use event_store::stored::Filter;
use event_store::{EventStore, StoreOptions};
use rdkafka::ClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use schema::log::Position;
use schema::record::Encoder;
use schema::topics::{LogTopic, Topics};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::line::{BenchLine, median};
use super::rebuild::{fill, read_back, sample};

/// A relay that takes longer for one turn has failed.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// How many events the log holds; they are held in memory too, as records, for the bare producer
    #[arg(long, default_value_t = 300_000, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1_000..=2_000_000))]
    events: i64,

    /// How often each is measured; the medians are told
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=99))]
    turns: u32,
}

/// On a database of its own. `kafka`: none: one is started and thrown away.
///
/// # Errors
/// When a server can't be used.
pub async fn run(
    server: PgConnectOptions,
    kafka: Option<KafkaOptions>,
    args: Args,
    out: &mut dyn FnMut(BenchLine),
) -> anyhow::Result<()> {
    let directory = tempfile::tempdir().context("no directory for a Kafka")?;
    let (kafka, own) = match kafka {
        Some(kafka) => (kafka, None),
        None => {
            let own = EmbeddedKafka::start(Options { ephemeral: true, ..Options::new(directory.path()) }).await?;
            (KafkaOptions::new(own.brokers()), Some(own))
        }
    };
    let name = format!("coulomb_bench_{}", std::process::id());
    let mut admin = server.clone().connect().await.context("the server can't be reached")?;
    admin.execute(format!("CREATE DATABASE {name}").as_str()).await?;
    let pool = PgPoolOptions::new().max_connections(16).connect_with(server.database(&name)).await?;
    let ran = async {
        schema::MIGRATOR.run(&pool).await?;
        fill::fill(&pool, sample::make()?, args.events, |_| {}).await?;
        turns(&pool, &kafka, &args, out).await
    };
    let ran = ran.await;
    pool.close().await;
    admin.execute(format!("DROP DATABASE {name} WITH (FORCE)").as_str()).await?;
    admin.close().await?;
    if let Some(own) = own {
        own.stop().await;
    }
    ran
}

async fn turns(pool: &PgPool, kafka: &KafkaOptions, args: &Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
    let records = Arc::new(Records::of(&store, args.events).await?);
    let (mut backs, mut bares, mut relays) = (vec![], vec![], vec![]);
    for turn in 0..args.turns {
        let topics = |of: &str| Topics::new(format!("bench-{}-{of}-{turn}", std::process::id()));
        backs.push(read_back(pool, args.events).await?);
        relays.push(relay(&store, KafkaOptions { topics: topics("relay")?, ..kafka.clone() }, args.events).await?);
        bares.push(bare(KafkaOptions { topics: topics("bare")?, ..kafka.clone() }, Arc::clone(&records)).await?);
    }
    let rate = median(relays);
    for (name, baseline) in [("bare producer", median(bares)), ("read-back", median(backs))] {
        let line = BenchLine::new("relay", format!("{} events", args.events), "events/s", rate).beside(name, baseline);
        let bytes = records.values.iter().map(|record| record.value.len()).sum::<usize>() / records.values.len();
        out(line.detail("turns", args.turns).detail("value_bytes", bytes).detail("records", records.values.len()));
    }
    Ok(())
}

/// Events a second, from leading to the last acknowledgement.
async fn relay(store: &EventStore, kafka: KafkaOptions, events: i64) -> anyhow::Result<f64> {
    let relay = Relay::new(store.clone(), RelayOptions::new(kafka));
    let mut state = relay.state();
    let (end, ending) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async {
        let _ = ending.await;
    }));
    let measured = async {
        state.wait_for(|state| state.doing.is_leading()).await?;
        let began = Instant::now();
        state.wait_for(|state| state.relayed >= Position(events)).await?;
        anyhow::Ok(events as f64 / began.elapsed().as_secs_f64())
    };
    let measured = tokio::time::timeout(PATIENCE, measured).await;
    let stands = state.borrow().clone();
    drop(end);
    running.await?;
    measured.with_context(|| format!("the relay has not come to the end: {stands:?}"))?
}

/// What the relay writes, but for the watermarks, as it is made.
struct Records {
    values: Vec<Record>,
    /// Events, of which some are in both topics.
    events: u64,
}

struct Record {
    topic: LogTopic,
    partition: i32,
    headers: Vec<(&'static str, String)>,
    key: String,
    value: String,
}

impl Records {
    async fn of(store: &EventStore, events: i64) -> anyhow::Result<Self> {
        let mut values = vec![];
        let log = store.identity().await?.context("a log without events")?;
        let mut encoder = Encoder::of_log(log);
        let mut lasts = LogTopic::ALL.map(|_| [Position::START; 64]);
        let mut at = Position::START;
        while at < Position(events) {
            let look = store.look(at, Position(events), &Filter::default()).await?;
            for event in &look.events {
                for (topic, lasts) in LogTopic::ALL.into_iter().zip(&mut lasts) {
                    if !topic.holds(&event.event_type) {
                        continue;
                    }
                    let last = &mut lasts[usize::from(event.partition)];
                    let mut headers = vec![];
                    let encoded =
                        encoder.encode(&event.as_ref(), *last, |name, text| headers.push((name, text.to_owned())));
                    let (key, value) = (encoded.key.to_owned(), encoded.value.to_owned());
                    *last = event.position;
                    values.push(Record { topic, partition: event.partition.into(), headers, key, value });
                }
            }
            at = look.upto;
        }
        Ok(Self { values, events: events as u64 })
    }
}

/// Counts what is acknowledged.
#[derive(Default)]
struct Counting {
    delivered: AtomicU64,
    failed: AtomicU64,
}

struct Counter(Arc<Counting>);

impl ClientContext for Counter {}

impl ProducerContext for Counter {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.0.delivered } else { &self.0.failed };
        count.fetch_add(1, Ordering::Release);
    }
}

/// Events a second of a producer that does nothing else: records and headers are made before.
async fn bare(kafka: KafkaOptions, records: Arc<Records>) -> anyhow::Result<f64> {
    event_store::kafka::topics::ensure(&kafka).await?;
    tokio::task::spawn_blocking(move || {
        let mut config = kafka.client();
        config.set("enable.idempotence", "true").set("acks", "all").set("compression.codec", "lz4");
        config.set("queue.buffering.max.messages", "1000000").set("queue.buffering.max.kbytes", "1048576");
        let counting = Arc::new(Counting::default());
        let producer: ThreadedProducer<Counter> = config.create_with_context(Counter(Arc::clone(&counting)))?;
        let names = LogTopic::ALL.map(|topic| kafka.topics.of(topic));
        let headers: Vec<OwnedHeaders> = records.values.iter().map(headers).collect();
        let began = Instant::now();
        for (record, headers) in records.values.iter().zip(headers) {
            let name = match record.topic {
                LogTopic::Events => &names[0],
                LogTopic::StationCommands => &names[1],
            };
            let mut next = BaseRecord::to(name)
                .partition(record.partition)
                .key(record.key.as_str())
                .payload(record.value.as_str())
                .headers(headers);
            while let Err((error, again)) = producer.send(next) {
                ensure!(error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull), error);
                next = again;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        while counting.delivered.load(Ordering::Acquire) < records.values.len() as u64 {
            ensure!(counting.failed.load(Ordering::Acquire) == 0, "the bare producer lost records");
            ensure!(began.elapsed() < PATIENCE, "the bare producer has not come to the end");
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(records.events as f64 / began.elapsed().as_secs_f64())
    })
    .await?
}

fn headers(record: &Record) -> OwnedHeaders {
    let all = OwnedHeaders::new_with_capacity(record.headers.len());
    record.headers.iter().fold(all, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}
