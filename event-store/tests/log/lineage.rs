//! The log on another server, or as an older state of itself: noticed, compared with what others have, recovered.

use std::time::Duration;

use domain::event::{AggregateType, Event};
use domain::log::{Log as LogOfLog, LogEvent};
use domain::token::{Token, TokenCommand};
use embedded_postgres::EmbeddedPostgres;
use embedded_postgres::testing::{Replicated, TestDatabase};
use event_store::feed::{self, From, Log as _};
use event_store::lineage::{
    Comparison, KafkaTail, LOST_MAX, Recovery, RecoveryError, State, Step, Successor, compare, halt_if_lost, settle,
};
use event_store::{Appended, EventStore, Expected, PartitionSet, StoreOptions, Write, append};
use schema::log::{Generation, Position, RecordedEvent, StreamId};
use schema::partition::partition;
use sqlx::Executor;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::support::{
    PATIENCE, append as one, assert_sound, assert_sound_at, database, envelope, events as token_events, store_with,
    stream, write,
};

/// Quick to say that it can't.
fn options(successor: Successor) -> StoreOptions {
    StoreOptions { successor, retry_for: Duration::from_millis(100), ..StoreOptions::default() }
}

async fn pool(server: &EmbeddedPostgres) -> PgPool {
    let options = PgPoolOptions::new().max_connections(10);
    options.connect(&server.tcp_url_of("coulomb")).await.expect("a connection")
}

/// A new stream with so many events.
async fn append_some(store: &EventStore, count: i64) -> StreamId {
    append_to(store, stream(), count).await
}

async fn append_to(store: &EventStore, stream: StreamId, count: i64) -> StreamId {
    store.append(one(vec![write(stream, 0, count)])).await.expect("appended");
    stream
}

/// As a relay has put it into Kafka: the last record of each partition, the last one of all as a watermark.
async fn tails(store: &EventStore) -> Vec<KafkaTail> {
    let events = events(store, Position::START).await;
    let log = store.identity().await.expect("asked");
    let mut tails: Vec<KafkaTail> = vec![];
    for event in events {
        let tail = KafkaTail {
            topic: "coulomb.events".to_owned(),
            partition: event.partition.number().into(),
            position: event.position,
            generation: event.generation,
            event_id: Some(event.event_id),
            log,
        };
        tails.retain(|known| known.partition != tail.partition);
        tails.push(tail);
    }
    tails
}

async fn events(store: &EventStore, after: Position) -> Vec<RecordedEvent> {
    store.read(after, i64::MAX, PartitionSet::ALL).await.expect("the log is read").events
}

/// Waits for a state of the lineage.
async fn until(store: &EventStore, wanted: impl Fn(&State) -> bool) -> State {
    let mut lineage = store.lineage();
    let reached = tokio::time::timeout(PATIENCE, lineage.wait_for(|state| wanted(state))).await;
    reached.expect("it comes to be known").expect("the store is there").clone()
}

fn position_of(appended: Appended) -> (Position, Generation) {
    match appended {
        Appended::Committed { position, generation, .. } => (position, generation),
        Appended::Replayed { .. } => panic!("nothing has a key"),
    }
}

/// A pair of which the standby is cut off, then a primary that goes on alone, and dies.
struct Pair {
    pair: Replicated,
    before: EventStore,
}

impl Pair {
    /// With ten events that both have.
    async fn start() -> Self {
        let pair = Replicated::start(false).await.expect("both start");
        let pool = pool(pair.primary.as_ref().expect("it was started")).await;
        schema::MIGRATOR.run(&pool).await.expect("the migrations");
        let before = EventStore::connect(pool, options(Successor::Relay)).await.expect("a store");
        append_some(&before, 10).await;
        pair.caught_up().await.expect("the standby follows");
        Self { pair, before }
    }

    async fn cut_off(&self) {
        let standby = self.pair.standby.as_ref().expect("it was started");
        standby.set("primary_conninfo", "").await.expect("it follows nobody");
        let receives = "SELECT count(*)::text FROM pg_stat_wal_receiver";
        for _ in 0..1_000 {
            if standby.ask(receives).await.expect("it answers") == "0" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the standby goes on following");
    }

    async fn fail_over(&mut self) -> PgPool {
        self.pair.primary.take().expect("it was started").kill().await;
        let promoted = self.pair.standby.take().expect("it was started");
        promoted.promote().await.expect("it is promoted");
        let pool = pool(&promoted).await;
        self.pair.primary = Some(promoted);
        pool
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_that_lost_a_tail_takes_nothing_until_it_is_recovered() {
    let mut pair = Pair::start().await;
    pair.cut_off().await;
    append_some(&pair.before, 6).await;
    let in_kafka = tails(&pair.before).await;
    let number = "SELECT nextval('transaction_numbers')";
    let pool = pair.fail_over().await;

    let store = EventStore::connect(pool.clone(), options(Successor::Relay)).await.expect("a store");
    let unsure = until(&store, |state| !state.is_open()).await;
    assert!(matches!(unsure, State::Unsure { head: Position(10), .. }), "{unsure:?}");
    // Typed as it stands, it must not give out again what phones and analysts have.
    let said = unsure.to_string();
    assert!(!said.contains("--upto 10") && said.contains("the highest that anybody has seen"), "{said}");
    assert!(said.contains("KAFKA_BROKERS unset") && said.contains("10, where the log ends now, only if"), "{said}");
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");

    let compared = settle(&store, &in_kafka).await.expect("compared");
    let Comparison::Lost(loss) = &compared else { panic!("{compared:?}") };
    assert_eq!((loss.head, loss.shared_upto, loss.lost_upto), (Position(10), Position(10), Position(16)));
    let halted = until(&store, |state| matches!(state, State::Halted(_))).await;
    let said = halted.to_string();
    assert!(said.contains("lacks positions 11 to 16, 6 events") && said.contains("coulomb log recover"), "{said}");
    assert_eq!(halted.lost_positions(), 6);

    let before: i64 = sqlx::query_scalar(number).fetch_one(&pool).await.expect("a number");
    let plan = Recovery::plan(&store, Some(&in_kafka), None, LOST_MAX).await.expect("a plan");
    assert_eq!((plan.lost_positions(), plan.resumes, plan.unneeded), (6, false, false));
    let mut steps = vec![];
    plan.run(&store, Some("the first machine burnt"), |step| steps.push(step)).await.expect("recovered");
    let done = Step::Done { generation: Generation(2), position: Position(17) };
    assert_eq!(steps, [Step::Begun { generation: Generation(2) }, Step::Filled { left: 0 }, done]);
    let after: i64 = sqlx::query_scalar(number).fetch_one(&pool).await.expect("a number");
    assert!(after > before + 6, "no number of a transaction is given out twice: {before}, then {after}");

    let fillers = events(&store, Position(10)).await;
    for (event, position) in fillers.iter().zip(11..) {
        assert_eq!(
            (event.position, event.generation, event.sequence),
            (Position(position), Generation(2), position - 10)
        );
        assert_eq!(event.stream, StreamId::new(AggregateType::Log, LogOfLog::stream_id()));
        assert_eq!(event.event_id.get_version_num(), 7);
        assert_eq!(event.envelope.reason.as_deref(), Some("the first machine burnt"));
        match event.event.as_deref().expect("it is understood") {
            Event::Log(LogEvent::PositionLost { generation: 2, lost_from: 11, lost_upto: 16 }) => {
                assert!(position < 17)
            }
            Event::Log(LogEvent::GenerationBegan {
                generation: 2,
                lost_from: Some(11),
                lost_upto: Some(16),
                shared_upto: 10,
                ..
            }) => {
                assert_eq!(position, 17);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fillers.len(), 7);
    until(&store, State::is_open).await;
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 3)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(20), Generation(2)));
    assert_sound_at(&pool).await;

    // A consumer by the rule has of each partition what Kafka had, and takes only what is above.
    let upto = |event: &RecordedEvent| {
        let of = |tail: &&KafkaTail| tail.partition == i32::from(event.partition.number());
        in_kafka.iter().find(of).map_or(Position::START, |tail| tail.position)
    };
    let new: Vec<_> = events(&store, Position(16)).await;
    assert!(new.len() == 4 && new.iter().all(|event| event.position > upto(event)), "it misses no new event");
    // What Kafka has of the lost positions is known from now on.
    assert_eq!(settle(&store, &in_kafka).await.expect("compared"), Comparison::NothingLost);
    assert_eq!(store.rewound(Generation(1), Position(16)).await.expect("asked"), Position(10));
    assert_eq!(store.rewound(Generation(2), Position(16)).await.expect("asked"), Position(16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_was_lost_it_goes_on_by_itself() {
    let mut pair = Pair::start().await;
    let in_kafka = tails(&pair.before).await;
    let (first, second) = (pair.pair.primary.as_ref().unwrap(), pair.pair.standby.as_ref().unwrap());
    // Not in the password.
    let [alone, both] = [format!(":{}/", first.port()), format!(":{},127.0.0.1:{}/", first.port(), second.port())];
    let both = first.tcp_url_of("coulomb").replace(&alone, &both);
    let hosts: pool::Hosts = both.parse().expect("two hosts");
    let wait = pool::Options { connections_max: 5, acquire_wait_max: Duration::from_secs(5) };
    let followed = pool::follow(hosts, wait).await.expect("a primary");
    let asked = StoreOptions { retry_for: Duration::from_secs(30), ..options(Successor::Relay) };
    let store = EventStore::connect(followed.pool, asked).await.expect("a store");
    let known = append_some(&store, 1).await;
    pair.pair.caught_up().await.expect("the standby follows");
    pair.fail_over().await;

    // A writer waits, and a relay's leader looks at what is in Kafka.
    let writer = tokio::spawn({
        let store = store.clone();
        async move { store.append(one(vec![write(known, 1, 1)])).await }
    });
    until(&store, |state| !state.is_open()).await;
    assert!(!writer.is_finished(), "nothing is taken before it is known");
    assert_eq!(settle(&store, &in_kafka).await.expect("compared"), Comparison::NothingLost);
    let appended =
        tokio::time::timeout(PATIENCE, writer).await.expect("it goes on").expect("it ran").expect("appended");
    assert_eq!(position_of(appended), (Position(13), Generation(2)));
    assert!(store.lineage_now().await.expect("asked").is_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_whoever_notices_begins_a_generation() {
    let mut pair = Pair::start().await;
    let pool = pair.fail_over().await;
    let connect = || EventStore::connect(pool.clone(), options(Successor::Anybody));
    let (one_store, other) = tokio::join!(connect(), connect());
    let (store, other) = (one_store.expect("a store"), other.expect("a store"));
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(12), Generation(2)), "one event tells of it, whoever was first");
    position_of(other.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_sound_at(&pool).await;
}

/// The log as it was `count` events before, as a backup has it.
async fn take_back(database: &TestDatabase, count: i64) {
    let text = format!(
        "UPDATE log_head SET position = position - {count};
         DELETE FROM events USING log_head h WHERE events.position > h.position;
         DELETE FROM streams s WHERE NOT EXISTS (SELECT FROM events e WHERE e.aggregate_id = s.id::text)"
    );
    database.pool().execute(text.as_str()).await.expect("taken back");
}

/// A log of seven positions of which Kafka has all, taken back to the fourth, and a process that has not seen more: as after a
/// restart. The server's timeline is what it was.
async fn taken_back() -> (TestDatabase, EventStore, Vec<KafkaTail>) {
    let database = database().await;
    let store = store_with(&database, options(Successor::Relay)).await;
    let first = append_some(&store, 4).await;
    // In another partition: else the last record of the first would say nothing of the fourth position.
    let second = std::iter::repeat_with(stream).find(|second| partition(second.id) != partition(first.id));
    append_to(&store, second.expect("one of many"), 3).await;
    let in_kafka = tails(&store).await;
    drop(store);
    take_back(&database, 3).await;
    let store = store_with(&database, options(Successor::Relay)).await;
    (database, store, in_kafka)
}

#[tokio::test]
async fn a_process_that_has_seen_more_than_the_log_has_notices() {
    let database = database().await;
    let relayed = store_with(&database, options(Successor::Relay)).await;
    let alone = store_with(&database, options(Successor::Anybody)).await;
    append_some(&relayed, 4).await;
    append_some(&alone, 3).await;
    take_back(&database, 3).await;
    // With Kafka it has to be compared, and what was given out is not given out again before that.
    let refused = alone.append(one(vec![write(stream(), 0, 1)])).await;
    let generation = match refused {
        // It was begun meanwhile, and what is new has another generation.
        Ok(appended) => position_of(appended).1,
        Err(error) => {
            assert!(matches!(error, append::Error::Unavailable(_)), "{error:?}");
            until(&alone, |state| *state == State::Open { generation: Generation(2) }).await;
            position_of(alone.append(one(vec![write(stream(), 0, 1)])).await.expect("appended")).1
        }
    };
    assert_eq!(generation, Generation(2));
    assert_sound(&database).await;
}

/// What a process appends while it looks at the log lies above what it sees, and is not lost for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_appends_while_it_looks_notices_nothing() {
    let database = database().await;
    // What a look sees is old when it is handed over.
    let slow = "ALTER FUNCTION log_lineage() RENAME TO log_lineage_at_once;
         CREATE FUNCTION log_lineage(OUT \"position\" bigint, OUT generation bigint, OUT recorded_at timestamptz,
             OUT timeline int, OUT server_timeline int, OUT known_system bigint, OUT server_system bigint,
             OUT filling_upto bigint, OUT halt_reason text, OUT halt_head bigint, OUT halt_shared bigint,
             OUT halt_lost bigint, OUT halt_noticed timestamptz)
         LANGUAGE plpgsql AS $$
         DECLARE
             seen record;
         BEGIN
             seen := log_lineage_at_once();
             PERFORM pg_sleep(0.3);
             position := seen.position; generation := seen.generation; recorded_at := seen.recorded_at;
             timeline := seen.timeline; server_timeline := seen.server_timeline; known_system := seen.known_system;
             server_system := seen.server_system; filling_upto := seen.filling_upto; halt_reason := seen.halt_reason;
             halt_head := seen.halt_head; halt_shared := seen.halt_shared; halt_lost := seen.halt_lost;
             halt_noticed := seen.halt_noticed;
         END $$";
    database.pool().execute(slow).await.expect("slowed down");
    for successor in [Successor::Relay, Successor::Anybody] {
        let store = store_with(&database, options(successor)).await;
        let lineage = store.lineage();
        // Several looks.
        let until = tokio::time::Instant::now() + Duration::from_secs(4);
        while tokio::time::Instant::now() < until {
            let appended = store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended");
            assert_eq!(position_of(appended).1, Generation(1));
        }
        assert!(lineage.borrow().is_open() && !lineage.has_changed().expect("the store is there"));
    }
    let halts: i64 =
        sqlx::query_scalar("SELECT count(*) FROM log_halt").fetch_one(database.pool()).await.expect("a count");
    assert_eq!(halts, 0);
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_tail_above_the_head_halts_a_log_that_looks_as_ever() {
    let (database, store, in_kafka) = taken_back().await;
    append_some(&store, 1).await;
    let compared = settle(&store, &in_kafka).await.expect("compared");
    let Comparison::Lost(loss) = &compared else { panic!("{compared:?}") };
    assert_eq!((loss.head, loss.lost_upto), (Position(5), Position(7)));
    assert!(loss.shared_upto <= Position(4), "what came after the restore is not said to be shared: {loss:?}");
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");
    // A process that starts now, and keeps no log elsewhere, does not begin a generation over the operator's head.
    let other = store_with(&database, options(Successor::Anybody)).await;
    assert!(matches!(other.lineage_now().await.expect("asked"), State::Halted(_)));

    let plan = Recovery::plan(&store, Some(&in_kafka), None, LOST_MAX).await.expect("a plan");
    plan.run(&store, None, |_| ()).await.expect("recovered");
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(9), Generation(2)));
    assert_sound(&database).await;
}

/// A backup that was copied back while nothing ran: nobody remembers more but Kafka.
#[tokio::test]
async fn a_process_that_starts_halts_the_log_before_it_appends_where_others_have_more() {
    let database = database().await;
    let store = store_with(&database, options(Successor::Relay)).await;
    append_some(&store, 4).await;
    append_some(&store, 3).await;
    let in_kafka = tails(&store).await;
    assert_eq!(halt_if_lost(&store, &in_kafka).await.expect("compared"), Comparison::NothingLost);
    append_some(&store, 1).await;
    drop(store);
    take_back(&database, 4).await;
    let store = store_with(&database, options(Successor::Relay)).await;
    let compared = halt_if_lost(&store, &in_kafka).await.expect("compared");
    let Comparison::Lost(loss) = &compared else { panic!("{compared:?}") };
    assert_eq!((loss.head, loss.lost_upto), (Position(4), Position(7)));
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");
    assert_eq!(store.head().await.expect("the head"), (Position(4), Generation(1)), "and no generation is begun");
    assert!(matches!(store.lineage_now().await.expect("asked"), State::Halted(_)));

    // Once it is being recovered, a process that starts stands in nobody's way.
    let plan = Recovery::plan(&store, Some(&in_kafka), None, LOST_MAX).await.expect("a plan");
    plan.run(&store, None, |_| ()).await.expect("recovered");
    assert_eq!(halt_if_lost(&store, &in_kafka).await.expect("compared"), Comparison::NothingLost);
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(9), Generation(2)));
    assert_sound(&database).await;
}

/// A relay that was frozen before the recovery writes what it had at hand when it wakes.
#[tokio::test]
async fn what_a_relay_writes_of_a_generation_that_has_ended_is_no_reason_to_halt() {
    let (database, store, in_kafka) = taken_back().await;
    settle(&store, &in_kafka).await.expect("compared");
    let stale = |position| KafkaTail {
        position: Position(position),
        event_id: Some(uuid::Uuid::now_v7()),
        ..in_kafka.last().expect("a record").clone()
    };
    // Before the recovery it is a further loss.
    let plan = Recovery::plan(&store, Some(&[stale(8)]), None, LOST_MAX).await.expect("a plan");
    assert_eq!(plan.lost_upto, Position(8));
    plan.run(&store, None, |_| ()).await.expect("recovered");
    append_some(&store, 2).await;
    let head = Position(11);
    assert_eq!(store.head().await.expect("the head"), (head, Generation(2)));

    let mut woken = tails(&store).await;
    woken.push(stale(10));
    woken.push(stale(50));
    // A watermark of the same relay.
    woken.push(KafkaTail { event_id: None, ..stale(60) });
    assert_eq!(halt_if_lost(&store, &woken).await.expect("compared"), Comparison::NothingLost);
    assert_eq!(settle(&store, &woken).await.expect("compared"), Comparison::NothingLost);
    let plan = Recovery::plan(&store, Some(&woken), None, LOST_MAX).await.expect("a plan");
    assert!(plan.unneeded && plan.lost_upto == head, "{plan:?}");
    assert_eq!(plan.kafka_upto, Some(head), "what is known to be lost does not count");
    assert!(store.lineage_now().await.expect("asked").is_open());
    append_some(&store, 1).await;
    // What is of this generation, or up to where it has the events of the former one, is one as ever.
    let new = KafkaTail { generation: Generation(2), ..stale(50) };
    let compared = compare(&store, &[new]).await.expect("compared");
    assert!(matches!(&compared, Comparison::Lost(loss) if loss.lost_upto == Position(50)), "{compared:?}");
    let compared = compare(&store, &[stale(3)]).await.expect("compared");
    assert!(matches!(compared, Comparison::OtherHistory(_)), "{compared:?}");
    assert_sound(&database).await;
}

#[tokio::test]
async fn other_events_at_the_same_positions_are_another_history() {
    let (database, store, in_kafka) = taken_back().await;
    append_some(&store, 20).await;
    let compared = compare(&store, &in_kafka).await.expect("compared");
    let Comparison::OtherHistory(loss) = &compared else { panic!("{compared:?}") };
    assert_eq!((loss.shared_upto, loss.lost_upto, loss.head), (Position(4), Position(7), Position(24)), "{in_kafka:?}");
    assert!(store.lineage_now().await.expect("asked").is_open(), "comparing changes nothing");
    settle(&store, &in_kafka).await.expect("compared");
    let said = until(&store, |state| !state.is_open()).await.to_string();
    assert!(said.contains("its events after position 4 are others"), "{said}");
    let plan = Recovery::plan(&store, Some(&in_kafka), None, LOST_MAX).await.expect("a plan");
    assert_eq!(plan.lost_positions(), 0);
    plan.run(&store, None, |_| ()).await.expect("recovered");
    let (position, _) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!(position, Position(26));
    assert_eq!(store.rewound(Generation(1), Position(24)).await.expect("asked"), Position(4));
    assert_eq!(settle(&store, &in_kafka).await.expect("compared"), Comparison::NothingLost);
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_dump_in_another_cluster_of_postgres_is_noticed() {
    let database = database().await;
    let store = store_with(&database, options(Successor::Anybody)).await;
    append_some(&store, 2).await;
    database.pool().execute("UPDATE log_generations SET system_identifier = 1").await.expect("written");
    let store = store_with(&database, options(Successor::Anybody)).await;
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(4), Generation(2)));
    let reason: String = sqlx::query_scalar("SELECT reason FROM log_generations WHERE number = 2")
        .fetch_one(database.pool())
        .await
        .expect("a generation");
    assert_eq!(reason, "moved");
    // Where a relay keeps the log in Kafka, it is asked first.
    let text = "INSERT INTO relay (cluster, prefix, position, generation, last_events, last_station_commands, epoch)
                VALUES ('c', 'p', 4, 2, array_fill(0::bigint, ARRAY[64]), array_fill(0::bigint, ARRAY[64]), 1)";
    database.pool().execute(text).await.expect("written");
    database.pool().execute("UPDATE log_generations SET system_identifier = 1").await.expect("written");
    let store = store_with(&database, options(Successor::Anybody)).await;
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");
    assert_eq!(settle(&store, &tails(&store).await).await.expect("compared"), Comparison::NothingLost);
    let (_, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!(generation, Generation(3));
}

#[tokio::test]
async fn a_recovery_that_is_cut_off_is_carried_on() {
    let database = database().await;
    let store = store_with(&database, options(Successor::Relay)).await;
    append_some(&store, 2).await;
    let upto = Position(12_002);
    let plan = Recovery::plan(&store, None, Some(upto), LOST_MAX).await.expect("a plan");
    {
        let (said, mut filled) = tokio::sync::mpsc::channel(100);
        let running = plan.run(&store, None, |step| {
            let _ = said.try_send(step);
        });
        tokio::select! {
            done = running => panic!("it is not cut off: {done:?}"),
            () = async { while !matches!(filled.recv().await, Some(Step::Filled { .. })) {} } => {}
        }
    }
    let state = store.lineage_now().await.expect("asked");
    let State::Filling { position, .. } = state else { panic!("{state:?}") };
    assert!(Position(2) < position && position < upto, "{position}");
    let refused = store.append(one(vec![write(stream(), 0, 1)])).await;
    assert!(matches!(refused, Err(append::Error::Unavailable(_))), "{refused:?}");
    // A process that starts now, and may begin generations, leaves it alone.
    let other = store_with(&database, options(Successor::Anybody)).await;
    assert!(matches!(other.lineage_now().await.expect("asked"), State::Filling { .. }));

    let plan = Recovery::plan(&other, None, None, LOST_MAX).await.expect("a plan");
    assert_eq!((plan.resumes, plan.lost_upto), (true, upto));
    plan.run(&other, None, |_| ()).await.expect("recovered");
    let (position, generation) = position_of(store.append(one(vec![write(stream(), 0, 1)])).await.expect("appended"));
    assert_eq!((position, generation), (Position(12_004), Generation(2)));
    let lost: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'PositionLost'")
        .fetch_one(database.pool())
        .await
        .expect("a count");
    assert_eq!(lost, 12_000);
    assert_sound(&database).await;
}

#[tokio::test]
async fn wrong_use_is_told_what_to_do() {
    let database = database().await;
    let store = store_with(&database, options(Successor::Relay)).await;
    append_some(&store, 5).await;
    let in_kafka = tails(&store).await;
    let no_end = Recovery::plan(&store, None, None, LOST_MAX).await.expect_err("refused");
    assert!(no_end.to_string().contains("KAFKA_BROKERS") && no_end.to_string().contains("--upto"), "{no_end}");
    let below = Recovery::plan(&store, None, Some(Position(3)), LOST_MAX).await.expect_err("refused");
    assert!(matches!(below, RecoveryError::Below { upto: Position(3), head: Position(5) }), "{below}");
    let kafka = Recovery::plan(&store, Some(&in_kafka), Some(Position(4)), LOST_MAX).await.expect_err("refused");
    assert!(matches!(kafka, RecoveryError::BelowKafka { kafka: Position(5), .. }), "{kafka}");
    let far = Recovery::plan(&store, None, Some(Position(5_000_000)), LOST_MAX).await.expect_err("refused");
    assert!(far.to_string().contains("--at-most 4999995"), "{far}");
    let unneeded = Recovery::plan(&store, Some(&in_kafka), None, LOST_MAX).await.expect("a plan");
    assert!(unneeded.unneeded);
}

/// A state in memory of a history that is gone may have the very version of the stream, and other events.
#[tokio::test]
async fn nothing_is_decided_on_a_state_of_another_generation() {
    let database = database().await;
    let [here, there] = [
        store_with(&database, options(Successor::Anybody)).await,
        store_with(&database, options(Successor::Anybody)).await,
    ];
    let token = append_some(&here, 1).await;
    let decide = async |store: &EventStore, command: TokenCommand| {
        let envelope = envelope();
        let work = store.run(&envelope, |session| {
            let command = command.clone();
            Box::pin(async move {
                let decided = session.decide::<Token>(token.id, token.id, command).await?;
                Ok::<_, event_store::session::Error>(decided.expect("it is not refused").len())
            })
        });
        work.await.expect("decided").0
    };
    assert_eq!(decide(&here, TokenCommand::Block).await, 1);
    // The block was lost, and something else came in its place, under the same version.
    let text = "UPDATE log_head SET position = 1, generation = 2; UPDATE streams SET version = 1; DELETE FROM events WHERE position > 1";
    database.pool().execute(text).await.expect("taken back");
    let unblocked =
        Write { stream: token, expected: Expected::Version(1), events: token_events(token, 3, 1), fence: None };
    there.append(one(vec![unblocked])).await.expect("appended");
    // By its memory the token is blocked, at the stream's very version; by the log it is not, and nothing is to be done.
    assert_eq!(decide(&here, TokenCommand::Unblock).await, 0);
    assert_sound(&database).await;
}

/// Who follows is told, goes back to where the two part, and misses nothing.
#[tokio::test]
async fn a_follower_goes_on_in_the_new_generation() {
    let database = database().await;
    let store = store_with(&database, options(Successor::Anybody)).await;
    append_some(&store, 4).await;
    append_some(&store, 3).await;
    let mut feed = store.follow(PartitionSet::ALL, From::Position(Position::START));
    let mut at = Position::START;
    while at < Position(7) {
        at = feed.next().await.expect("a batch").upto;
    }
    take_back(&database, 3).await;
    until(&store, |state| *state == State::Open { generation: Generation(2) }).await;
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            match feed.next().await {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    let told = told.await.expect("it is told");
    assert!(matches!(told, feed::Error::OtherGeneration { .. } | feed::Error::AheadOfLog { .. }), "{told:?}");
    let at = store.rewound(Generation(1), at).await.expect("asked");
    assert_eq!(at, Position(4));
    append_some(&store, 2).await;
    let mut feed = store.follow(PartitionSet::ALL, From::Position(at));
    let mut seen = vec![];
    while seen.last() != Some(&7) {
        seen.extend(feed.next().await.expect("a batch").events.iter().map(|event| event.position.0));
    }
    assert_eq!(seen, [5, 6, 7]);
}
