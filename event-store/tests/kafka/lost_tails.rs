//! A log that is an older copy of itself, under the Kafka that has more: the relay stops, and goes on when it is recovered.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use embedded_postgres::testing::TestDatabase;
use event_store::feed::{From, Log};
use event_store::kafka::relay::{Stopped, last_records, look_before_appending};
use event_store::kafka::{Doing, KafkaOptions};
use event_store::lineage::{LOST_MAX, Loss, Recovery, State, Successor};
use event_store::{EventStore, PartitionSet, StoreOptions, Wake, append};
use schema::log::{Generation, Position};
use schema::stored::StoredEvent;
use schema::topics::LogTopic;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgPool};

use crate::support::{PATIENCE, append as one, assert_sound_at, database, stream, write};
use crate::teller::Teller;
use crate::topic::{History, append_some, log, options, relay_options, run, take_of, until_written};

/// What follows of a log that was found to be an older one: the positions that were lost are told of in the event that begins
/// the generation.
struct Began {
    at: Position,
    shared_upto: Position,
}

async fn pool(database: &TestDatabase) -> PgPool {
    PgPoolOptions::new().max_connections(10).connect(database.url()).await.expect("a connection")
}

async fn relayed_store(pool: &PgPool, kafka: Option<&KafkaOptions>) -> EventStore {
    let options = StoreOptions {
        successor: Successor::Relay,
        retry_for: Duration::from_millis(100),
        kafka: kafka.cloned(),
        wake: if kafka.is_some() { Wake::Poll } else { Wake::Listen },
        poll_every: Duration::from_millis(300),
        ..StoreOptions::default()
    };
    EventStore::connect(pool.clone(), options).await.expect("a store")
}

/// A database as it is now, under another name; of the first one nobody may be connected.
async fn copy_of(database: &TestDatabase) -> TestDatabase {
    let copy = crate::support::database().await;
    let name = |database: &TestDatabase| {
        let options = PgConnectOptions::from_str(database.url()).expect("a URL");
        options.get_database().expect("it names a database").to_owned()
    };
    let (from, to) = (name(database), name(&copy));
    let options = PgConnectOptions::from_str(database.url()).expect("a URL").database("postgres");
    let mut admin = options.connect().await.expect("a connection");
    admin.execute(format!("DROP DATABASE {to} WITH (FORCE)").as_str()).await.expect("dropped");
    let until = tokio::time::Instant::now() + PATIENCE;
    // What is still connected is ended.
    let others = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
    admin.execute(others.as_str()).await.expect("ended");
    while let Err(error) = admin.execute(format!("CREATE DATABASE {to} TEMPLATE {from}").as_str()).await {
        assert!(tokio::time::Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        admin.execute(others.as_str()).await.expect("ended");
    }
    admin.close().await.expect("closed");
    copy
}

/// How Kafka came to have more than the copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It was told to all partitions how far the log is.
    Watermarked,
    /// The relay was killed before it could.
    Unmarked,
}

/// A copy of a log, and Kafka with everything that the log itself got after it was copied.
struct Older {
    original: TestDatabase,
    database: TestDatabase,
    kafka: KafkaOptions,
    /// The end of the copy.
    copied: Position,
    /// What Kafka has.
    upto: Position,
}

impl Older {
    async fn make(lost: Lost) -> Self {
        let (original, kafka) = (database().await, options().await);
        let first = pool(&original).await;
        let copied = {
            let store = relayed_store(&first, None).await;
            let mut relay = run(&store, relay_options(&kafka));
            let upto = append_some(&store, 30).await;
            relay.until_relayed(upto).await;
            for topic in LogTopic::ALL {
                take_of(&kafka, topic, upto, History::One).await;
            }
            until_written(&first, upto).await;
            upto
        };
        first.close().await;
        let older = copy_of(&original).await;
        let second = pool(&original).await;
        let store = relayed_store(&second, None).await;
        let upto = match lost {
            Lost::Watermarked => {
                let mut relay = run(&store, relay_options(&kafka));
                let upto = append_some(&store, 40).await;
                relay.until_relayed(upto).await;
                for topic in LogTopic::ALL {
                    take_of(&kafka, topic, upto, History::One).await;
                }
                upto
            }
            Lost::Unmarked => {
                let mut teller = Teller::new(&store, &kafka);
                for event in teller.news().await {
                    teller.leave_out(&event);
                }
                let upto = append_some(&store, 40).await;
                for event in teller.news().await {
                    teller.tell(&event);
                }
                teller.flush().await;
                upto
            }
        };
        drop(store);
        second.close().await;
        assert!(upto > copied);
        Self { original, database: older, kafka, copied, upto }
    }

    /// The highest position of each partition of a topic.
    async fn tails(&self, topic: LogTopic) -> HashMap<i32, Position> {
        let name = self.kafka.topics.of(topic);
        let tails = last_records(&self.kafka).await.expect("Kafka is read");
        tails.iter().filter(|tail| tail.topic == name).map(|tail| (tail.partition, tail.position)).collect()
    }
}

fn loss(doing: &Doing) -> Loss {
    match doing {
        Doing::Stopped { why: Stopped::LostTail(loss) | Stopped::OtherHistory(loss) } => loss.clone(),
        other => panic!("{other:?}"),
    }
}

fn began(log: &[StoredEvent]) -> Began {
    let event = log.iter().find(|event| event.event_type == "GenerationBegan").expect("a generation began");
    let payload: serde_json::Value = serde_json::from_str(&event.payload).expect("JSON");
    let shared = payload["GenerationBegan"]["shared_upto"].as_i64().expect("it is told");
    Began { at: event.position, shared_upto: Position(shared) }
}

/// Kafka has every event of the log that is above what a partition had, and a consumer that does what GenerationBegan says has
/// the log. Answers how many fillers came by Kafka.
async fn assert_goes_on(older: &Older, store: &EventStore, had: &[HashMap<i32, Position>; 2], upto: Position) -> usize {
    let log = log(store, upto).await;
    assert_eq!(log.len() as i64, upto.0, "dense");
    let Began { at, shared_upto } = began(&log);
    assert!(at > older.upto && shared_upto <= older.copied, "{at} {shared_upto}");
    let mut fillers = 0;
    for (topic, had) in LogTopic::ALL.into_iter().zip(had) {
        let taken = take_of(&older.kafka, topic, upto, History::Several(Generation(2))).await.events;
        let has: BTreeMap<(Position, Generation), &StoredEvent> =
            taken.iter().map(|event| ((event.position, event.generation), event)).collect();
        assert_eq!(has.len(), taken.len(), "{topic}: nothing comes twice");
        for event in log.iter().filter(|event| topic.holds(&event.event_type)) {
            let tail = had.get(&i32::from(event.partition)).copied().unwrap_or_default();
            if event.position > tail || event.position <= shared_upto || event.generation == Generation(2) {
                assert_eq!(has.get(&(event.position, event.generation)), Some(&event), "{topic}: {}", event.position);
            }
        }
        assert!(taken.iter().any(|event| event.generation == Generation(2) && event.position > at), "{topic}");
        fillers += taken.iter().filter(|event| event.event_type == "PositionLost").count();

        // As docs/recovery.md tells consumers.
        let is_of_the_log = |event: &&StoredEvent| event.generation >= Generation(2) || event.position <= shared_upto;
        let mut kept: BTreeMap<Position, &StoredEvent> =
            taken.iter().filter(is_of_the_log).map(|event| (event.position, event)).collect();
        let again = |event: &&StoredEvent| event.position > shared_upto && event.position <= at;
        kept.extend(log.iter().filter(again).map(|event| (event.position, event)));
        kept.retain(|_, event| topic.holds(&event.event_type));
        let expected: Vec<&StoredEvent> = log.iter().filter(|event| topic.holds(&event.event_type)).collect();
        assert!(kept.into_values().eq(expected), "{topic}: the log, and nothing else");
    }
    fillers
}

/// A relay that stood still while the log was recovered sends what it had at hand when it wakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_relay_adds_after_a_recovery_hides_nothing() {
    let older = Older::make(Lost::Watermarked).await;
    let first = pool(&older.original).await;
    let primary = relayed_store(&first, None).await;
    let mut frozen = Teller::new(&primary, &older.kafka);
    for event in frozen.news().await {
        frozen.leave_out(&event);
    }
    let stale_upto = append_some(&primary, 60).await;
    let at_hand = frozen.news().await;

    let pool = pool(&older.database).await;
    let store = relayed_store(&pool, None).await;
    let [reader, edge] =
        [relayed_store(&pool, Some(&older.kafka)).await, relayed_store(&pool, Some(&older.kafka)).await];
    let mut relay = run(&store, relay_options(&older.kafka));
    relay.until(|state| state.doing.is_stopped()).await;
    let tails = last_records(&older.kafka).await.expect("Kafka is read");
    let plan = Recovery::plan(&store, Some(&tails), None, LOST_MAX).await.expect("a plan");
    plan.run(&store, None, |_| ()).await.expect("recovered");
    relay.until(|state| state.doing.is_leading()).await;
    let from = append_some(&store, 5).await;
    relay.until_relayed(from).await;
    let mut feeds = [reader.follow(PartitionSet::ALL, From::Position(from)), edge.follow_commands(from)];
    for feed in &mut feeds {
        let nothing = tokio::time::timeout(Duration::from_millis(500), feed.next()).await;
        assert!(nothing.map_or(true, |batch| batch.expect("a batch").events.is_empty()));
    }

    // It wakes.
    for event in &at_hand {
        frozen.tell(event);
    }
    frozen.watermark(stale_upto, Generation(1));
    frozen.flush().await;
    assert!(stale_upto.0 > from.0 + 100, "it is far above the log");

    // A process that starts halts nothing, and nothing is to be recovered.
    let starts = relayed_store(&pool, Some(&older.kafka)).await;
    look_before_appending(&starts).await;
    let state = starts.lineage_now().await.expect("asked");
    assert!(state.is_open(), "{state}");
    let tails = last_records(&older.kafka).await.expect("Kafka is read");
    let plan = Recovery::plan(&store, Some(&tails), None, LOST_MAX).await.expect("a plan");
    assert!(plan.unneeded, "{plan:?}");

    // Nor does a relay that takes over, and it leaves nothing out.
    drop(relay);
    let mut relay = run(&store, relay_options(&older.kafka));
    let mut upto = from;
    while upto <= stale_upto {
        upto = append_some(&store, 20).await;
    }
    relay.until_relayed(upto).await;
    let log = log(&store, upto).await;
    for topic in LogTopic::ALL {
        let taken = take_of(&older.kafka, topic, upto, History::Several(Generation(2))).await.events;
        let of_now = taken.iter().filter(|event| event.generation == Generation(2));
        let expected = log.iter().filter(|event| event.generation == Generation(2) && topic.holds(&event.event_type));
        assert!(of_now.eq(expected), "{topic}");
    }
    for (topic, feed) in LogTopic::ALL.into_iter().zip(&mut feeds) {
        let holds = |event: &&StoredEvent| event.position > from && topic.holds(&event.event_type);
        let expected: Vec<_> = log.iter().filter(holds).map(|event| (event.position, event.event_id)).collect();
        let mut seen = vec![];
        let follows = async {
            while seen.len() < expected.len() {
                let batch = feed.next().await.expect("a batch");
                seen.extend(batch.events.iter().map(|event| (event.position, event.event_id)));
            }
        };
        tokio::time::timeout(PATIENCE, follows).await.expect("it is followed");
        seen.sort_unstable();
        assert_eq!(seen, expected, "{topic}");
    }
    assert_sound_at(&pool).await;
}

async fn assert_followed(store: &EventStore, log: &[StoredEvent]) {
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position::START));
    let mut seen = vec![];
    let following = async {
        while seen.len() < log.len() {
            let batch = feed.next().await.expect("a batch");
            seen.extend(batch.events.iter().map(|event| (event.position, event.event_id)));
        }
    };
    let followed = tokio::time::timeout(PATIENCE, following).await;
    assert!(followed.is_ok(), "{} of {}", seen.len(), log.len());
    assert!(seen.iter().copied().eq(log.iter().map(|event| (event.position, event.event_id))));
}

async fn a_lost_tail(lost: Lost, appended_before: usize) {
    let older = Older::make(lost).await;
    let pool = pool(&older.database).await;
    let store = relayed_store(&pool, None).await;
    // A process that takes its news from Kafka, from before anybody knows.
    let reader = relayed_store(&pool, Some(&older.kafka)).await;
    let mut head = older.copied;
    if appended_before > 0 {
        head = append_some(&store, appended_before).await;
        assert!(head < older.upto, "still below what Kafka has");
    }
    let had = [older.tails(LogTopic::Events).await, older.tails(LogTopic::StationCommands).await];

    let mut relay = run(&store, relay_options(&older.kafka));
    let state = relay.until(|state| state.doing.is_stopped()).await;
    let found = loss(&state.doing);
    assert_eq!((found.generation, found.head, found.lost_upto), (Generation(1), head, older.upto));
    assert!(found.shared_upto <= older.copied, "{found:?}");
    let Doing::Stopped { why } = &state.doing else { unreachable!("it is stopped") };
    let said = why.to_string();
    assert!(said.contains("coulomb log recover"), "{said}");
    if matches!(why, Stopped::LostTail(_)) {
        assert!(said.contains(&older.upto.to_string()) && said.contains(&head.to_string()), "{said}");
    }
    let mut lineage = store.lineage();
    let halted = tokio::time::timeout(PATIENCE, lineage.wait_for(|state| matches!(state, State::Halted(_)))).await;
    let halted = halted.expect("it is known").expect("the store is there").clone();
    assert_eq!(halted.lost_positions(), older.upto.0 - head.0);
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");
    // It stays so, and writes nothing.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(relay.state.borrow().doing.is_stopped());
    assert_eq!([older.tails(LogTopic::Events).await, older.tails(LogTopic::StationCommands).await], had);

    let tails = last_records(&older.kafka).await.expect("Kafka is read");
    let plan = Recovery::plan(&store, Some(&tails), None, LOST_MAX).await.expect("a plan");
    assert_eq!((plan.head, plan.lost_upto, plan.unneeded), (head, older.upto, false));
    plan.run(&store, Some("an older copy"), |_| ()).await.expect("recovered");
    relay.until(|state| state.doing.is_leading()).await;
    let mut upto = Position::START;
    for _ in 0..4 {
        upto = append_some(&store, 20).await;
    }
    relay.until_relayed(upto).await;
    let fillers = assert_goes_on(&older, &store, &had, upto).await;
    let positions: i64 = older.upto.0 - head.0;
    // Though of the fillers' partition it was said that all is there: that was of the former generation.
    assert_eq!(fillers as i64, positions);
    assert_followed(&reader, &log(&store, upto).await).await;
    assert_sound_at(&pool).await;

    // Another one that leads finds what it has to.
    drop(relay);
    let mut relay = run(&store, relay_options(&older.kafka));
    let upto = append_some(&store, 5).await;
    relay.until_relayed(upto).await;
    assert_goes_on(&older, &store, &had, upto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_stops_the_relay_until_it_is_recovered() {
    a_lost_tail(Lost::Watermarked, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fillers_arrive_where_kafka_had_nothing_above() {
    a_lost_tail(Lost::Unmarked, 0).await;
}

/// What was appended before it was noticed has positions that Kafka has other events for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_that_was_appended_to_is_recovered_too() {
    a_lost_tail(Lost::Watermarked, 8).await;
}
