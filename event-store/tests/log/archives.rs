//! Ranges that are in an archive, and not in the log any more: whoever reads sees no difference, or is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::envelope::Retention;
use domain::event::{AggregateType, Event};
use domain::read_model::{ReadModel, ReadModelEvent};
use domain::token::Token;
use embedded_postgres::testing::TestDatabase;
use event_store::past::Span;
use event_store::stored::Filter;
use event_store::{
    Archive, ArchiveError, ArchivedRange, EventStore, Expected, PartitionSet, StoreOptions, Write, read,
};
use futures_util::future::BoxFuture;
use schema::log::{NewEvent, Position, RecordedEvent, StreamId};
use schema::stored::StoredEvent;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::support::{PATIENCE, append, database, envelope, store_with, stream, write};

/// An archive in memory.
#[derive(Debug, Default)]
struct Shelf {
    events: Vec<StoredEvent>,
    reads: AtomicUsize,
}

impl Archive for Shelf {
    fn read<'a>(
        &'a self,
        range: &'a ArchivedRange,
        after: Position,
        upto: Position,
        stream: Option<StreamId>,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, ArchiveError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        assert!(range.first.0 - 1 <= after.0 && upto <= range.last && after < upto, "{range:?} {after} {upto}");
        let of_stream = |event: &StoredEvent| {
            stream.is_none_or(|of| of.id == event.aggregate_id && of.aggregate.as_str() == event.aggregate_type)
        };
        let wanted = |event: &&StoredEvent| {
            event.retention == range.retention.code()
                && event.position > after
                && event.position <= upto
                && of_stream(event)
        };
        let events = self.events.iter().filter(wanted).cloned().collect();
        Box::pin(async move { Ok(events) })
    }
}

/// A log of small ranges: 20 tokens with 30 events each, in flushes of 2 events of each of 2 tokens.
async fn filled(database: &TestDatabase) -> (EventStore, Vec<StreamId>) {
    for statement in [
        "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1",
        "DROP TABLE events_ledger_10000001, events_operational_10000001, events_telemetry_10000001",
        "DELETE FROM log_ranges",
    ] {
        sqlx::query(statement).execute(database.pool()).await.expect("an empty log without ranges");
    }
    let store = store_with(database, StoreOptions { range_positions: 100, ..StoreOptions::default() }).await;
    let streams: Vec<StreamId> = (0..20).map(|_| stream()).collect();
    for version in (0..30).step_by(2) {
        for two in streams.chunks(2) {
            let writes = two.iter().map(|stream| write(*stream, version, 2)).collect();
            store.append(append(writes)).await.expect("appended");
        }
    }
    (store, streams)
}

/// Takes ranges out of the log, as is done when they are archived.
async fn detach(database: &TestDatabase, firsts: &[i64]) {
    let mut connection = database.pool().acquire().await.expect("a connection");
    for first in firsts {
        detach_in(&mut connection, *first).await;
    }
}

async fn detach_in(connection: &mut PgConnection, first: i64) {
    let archived = "INSERT INTO log_archives (retention, first, last, url, manifest_sha256, events, bytes, verified_at) \
                    SELECT 2, first, last, 'memory:///', decode(repeat('00', 32), 'hex'), 100, 0, now() \
                    FROM log_ranges WHERE first = $1";
    sqlx::query(archived).bind(first).execute(&mut *connection).await.expect("noted");
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        assert!(std::time::Instant::now() < until, "it is never free");
        let detached = sqlx::query_scalar::<_, bool>("SELECT log_detach_range(2::smallint, $1)").bind(first);
        match detached.fetch_one(&mut *connection).await {
            // Somebody reads it: it says that it is to be tried again.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "55P03") => {}
            detached => break assert!(detached.expect("detached")),
        }
    }
}

async fn everything(store: &EventStore) -> Vec<StoredEvent> {
    let (head, _) = store.head().await.expect("the end of the log");
    let (mut events, mut after) = (vec![], Position::START);
    while after < head {
        let mut look = store.look(after, head, &Filter::default()).await.expect("looked");
        events.append(&mut look.events);
        after = look.upto;
    }
    events
}

fn same(before: &[RecordedEvent], after: &[RecordedEvent], what: &str) {
    let told =
        |event: &RecordedEvent| (event.position, event.event_id, event.sequence, event.recorded_at, event.payload_hash);
    assert_eq!(before.iter().map(told).collect::<Vec<_>>(), after.iter().map(told).collect::<Vec<_>>(), "{what}");
    assert!(after.iter().all(|event| event.event.is_ok()), "{what}");
}

/// One that has an archive, and what the log had.
async fn with_archive(database: &TestDatabase, events: Vec<StoredEvent>) -> (EventStore, Arc<Shelf>) {
    let shelf = Arc::new(Shelf { events, reads: AtomicUsize::default() });
    let options = StoreOptions { archive: Some(shelf.clone()), ..StoreOptions::default() };
    (store_with(database, options).await, shelf)
}

#[tokio::test]
async fn what_is_archived_is_read_as_if_it_were_in_the_log() {
    let database = database().await;
    let (before, streams) = filled(&database).await;
    let all = everything(&before).await;
    let (after, shelf) = with_archive(&database, all.clone()).await;
    // It knows of no detached range yet.
    assert_eq!(everything(&after).await, all);
    assert_eq!(shelf.reads.load(Ordering::Relaxed), 0, "an archive was asked without need");
    let some: PartitionSet = PartitionSet::ALL.iter().filter(|partition| partition.number() % 3 == 0).collect();
    let window = (Position(150), 300);
    let ranges = [
        before.read(window.0, window.1, PartitionSet::ALL).await.expect("read").events,
        before.read(window.0, window.1, some).await.expect("read").events,
    ];
    let positions: Vec<Position> = [1, 120, 333, 450, 599].map(Position).to_vec();
    let at = before.read_at(&positions).await.expect("read");
    let selection = (&[AggregateType::Token][..], &[(AggregateType::Token, "TokenBlocked")][..], &Retention::ALL[..]);
    let selected = before.read_selected(Position(50), Position(550), selection).await.expect("read");
    let classes = [Retention::Operational];
    let typed =
        before.read_typed(AggregateType::Token, &["TokenRegistered"], &classes, Position(10), Position(550)).await;
    let typed = typed.expect("read");
    let filter = Filter { event_types: vec!["TokenUnblocked".to_owned()], ..Filter::default() };
    let back = before.look_back(Position(90), Position(510), &filter).await.expect("looked").events;
    let mut whole = vec![];
    for stream in &streams {
        whole.push(before.read_stream(*stream, 4).await.expect("read"));
    }
    let mut spans = vec![];
    for stream in &streams {
        for at in (0..=600).step_by(25) {
            spans.push(before.span(*stream, Position(at / 2), Position(at)).await.expect("a span"));
        }
    }
    let mut times = vec![];
    for event in all.iter().step_by(7) {
        times.push((event, before.position_at(event.recorded_at).await.expect("a position")));
    }

    detach(&database, &[101, 201, 301, 501]).await;

    same(&ranges[0], &after.read(window.0, window.1, PartitionSet::ALL).await.expect("read").events, "a range");
    same(&ranges[1], &after.read(window.0, window.1, some).await.expect("read").events, "some partitions");
    same(&at, &after.read_at(&positions).await.expect("read"), "positions");
    let reads = shelf.reads.load(Ordering::Relaxed);
    let every: Vec<Position> = (1..=600).step_by(3).map(Position).collect();
    assert_eq!(after.read_at(&every).await.expect("read").len(), every.len());
    let reads = shelf.reads.load(Ordering::Relaxed) - reads;
    assert!(reads <= 4, "the archives of 4 ranges were asked {reads} times");
    same(&selected, &after.read_selected(Position(50), Position(550), selection).await.expect("read"), "selected");
    let again =
        after.read_typed(AggregateType::Token, &["TokenRegistered"], &classes, Position(10), Position(550)).await;
    same(&typed, &again.expect("read"), "typed");
    assert_eq!(everything(&after).await, all);
    assert_eq!(after.look_back(Position(90), Position(510), &filter).await.expect("looked").events, back);
    for (stream, before) in streams.iter().zip(&whole) {
        same(before, &after.read_stream(*stream, 4).await.expect("read"), "a stream");
    }
    let mut spans = spans.into_iter();
    for stream in &streams {
        for at in (0..=600).step_by(25) {
            let span = after.span(*stream, Position(at / 2), Position(at)).await.expect("a span");
            assert_eq!(Some(span), spans.next(), "{stream} at {at}");
            let events = after.read_span(*stream, span, 1_000).await.expect("read");
            assert_eq!(events.len() as i64, span.upto - span.after);
        }
    }
    for (event, position) in times {
        assert_eq!(after.position_at(event.recorded_at).await.expect("a position"), position);
        assert_eq!(after.recorded_at(event.position).await.expect("a time"), Some(event.recorded_at));
    }
    assert_eq!(after.kept_after(&Retention::ALL).await.expect("a position"), Position::START);
    assert_eq!(after.in_log_after(&Retention::ALL).await.expect("a position"), Position(600));
}

/// Whoever knew of no detached range learns of it from what it reads, even if that is nothing.
#[tokio::test]
async fn a_range_that_goes_while_others_are_read_is_noticed() {
    let database = database().await;
    let (before, _) = filled(&database).await;
    let all = everything(&before).await;
    let (after, shelf) = with_archive(&database, all).await;
    let one = PartitionSet::NONE.with(before.read_at(&[Position(150)]).await.expect("read")[0].partition);
    for first in [101, 201] {
        let wanted = before.read(Position(first - 1), 100, one).await.expect("read").events;
        detach(&database, &[first]).await;
        same(&wanted, &after.read(Position(first - 1), 100, one).await.expect("read").events, "one partition");
    }
    assert!(shelf.reads.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn a_stream_is_never_folded_over_a_gap() {
    let database = database().await;
    let (before, streams) = filled(&database).await;
    let all = everything(&before).await;
    let whole = before.load::<Token>(streams[3].id).await.expect("loaded");
    detach(&database, &[1, 301, 501]).await;

    // Without a state it takes the archive.
    let (after, _) = with_archive(&database, all.clone()).await;
    let loaded = after.load::<Token>(streams[3].id).await.expect("loaded");
    assert_eq!((loaded.version, &loaded.state), (whole.version, &whole.state));
    // With a state of the middle, it takes what comes after that.
    let state = "INSERT INTO aggregate_states VALUES ($1, 20, $2, 'Token', '{\"details\":null,\"blocked\":true}')";
    let fold = <Token as domain::aggregate::Decide>::FOLD_VERSION;
    sqlx::query(state).bind(streams[4].id).bind(fold).execute(database.pool()).await.expect("a state");
    let loaded = after.load::<Token>(streams[4].id).await.expect("loaded");
    assert_eq!((loaded.version, loaded.state.details.is_none()), (30, true), "folded from the state on");

    // A program that can't read archives says so, and where they are.
    let without = store_with(&database, StoreOptions::default()).await;
    let error = without.load::<Token>(streams[3].id).await.expect_err("folded over a gap");
    let told = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let told = told.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(told.contains("memory:///") && told.contains("without the feature `archive`"), "{told}");
    // What it has a state of that is above the gap needs no archive.
    let above = state.replace("20, $2", "30, $2");
    sqlx::query(&above).bind(streams[5].id).bind(fold).execute(database.pool()).await.expect("a state");
    assert_eq!(without.load::<Token>(streams[5].id).await.expect("loaded").version, 30);
    let read = without.read(Position(250), 100, PartitionSet::ALL).await;
    assert!(matches!(read, Err(read::Error::Archive(ArchiveError::NotBuilt(_)))), "{read:?}");
    let kept =
        without.read(Position(100), 200, PartitionSet::ALL).await.expect("of what the log has nothing is missing");
    assert_eq!(kept.events.len(), 200);

    // What is in no archive either is named.
    let empty = with_archive(&database, vec![]).await.0;
    let error = empty.read_stream(streams[3], 1).await.expect_err("read over a gap");
    assert!(
        matches!(error, read::Error::Gone { stream, first: 1, last } if stream == streams[3] && last > 1),
        "{error:?}"
    );
}

/// However many events the log has above a gap: a page of a stream has those of the gap.
#[tokio::test]
async fn a_page_of_a_partly_detached_stream_has_no_gap() {
    let database = database().await;
    let (before, streams) = filled(&database).await;
    let long = stream();
    for version in (0..2_300).step_by(100) {
        before.append(append(vec![write(long, version, 100)])).await.expect("appended");
    }
    let whole = before.read_stream(streams[3], 1).await.expect("read");
    let whole_long = before.read_stream(long, 1).await.expect("read");
    assert_eq!((whole.len(), whole_long.len(), whole_long[0].position), (30, 2_300, Position(601)));
    let (after, _) = with_archive(&database, everything(&before).await).await;

    // Its beginning, then some of its middle too.
    for firsts in [&[1][..], &[201, 301], &[501]] {
        detach(&database, firsts).await;
        for (from, limit) in (0..30).flat_map(|from| [1, 2, 5, 7, 29, 100].map(|limit| (from, limit))) {
            let span = Span { after: from, upto: 28, version: 30, first_position: Position::START };
            let page = after.read_span(streams[3], span, limit).await.expect("read");
            let end = 28.min(from + limit).max(from);
            same(&whole[from as usize..end as usize], &page, &format!("{limit} after {from} without {firsts:?}"));
        }
    }
    // 300 of 1,300, then all of the first 1,000.
    for firsts in [&[601, 901, 1_201][..], &[701, 801, 1_001, 1_101, 1_301, 1_401, 1_501]] {
        detach(&database, firsts).await;
        same(&whole_long, &after.read_stream(long, 1).await.expect("read"), &format!("without {firsts:?}"));
    }
}

/// What was read of a range before it went is not counted for what is missing of another.
#[tokio::test]
async fn a_range_that_goes_while_a_stream_is_read_is_not_taken_for_the_one_that_is_missing() {
    let database = database().await;
    let (before, streams) = filled(&database).await;
    // Farther on than an archive is asked for at once.
    sqlx::query("SELECT log_make_ranges(20000, 20)").execute(database.pool()).await.expect("ranges");
    let others = stream();
    for version in (0..17_000).step_by(1_000) {
        before.append(append(vec![write(others, version, 1_000)])).await.expect("appended");
    }
    before.append(append(vec![write(streams[3], 30, 2)])).await.expect("appended");
    let far = before.read_stream(streams[3], 31).await.expect("read")[0].position;
    before.append(append(vec![write(others, 17_000, 100)])).await.expect("appended");
    let whole = before.read_stream(streams[3], 1).await.expect("read");
    let (after, _) = with_archive(&database, everything(&before).await).await;
    let range_of_far = sqlx::query_scalar("SELECT first FROM log_ranges WHERE $1 BETWEEN first AND last").bind(far.0);
    detach(&database, &[range_of_far.fetch_one(database.pool()).await.expect("a range")]).await;

    let mut going = database.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE log_archives IN ACCESS EXCLUSIVE MODE").execute(&mut *going).await.expect("locked");
    let reading = {
        let (after, stream) = (after.clone(), streams[3]);
        tokio::spawn(async move { after.read_stream(stream, 1).await })
    };
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'log_archives'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(database.pool()).await.expect("the locks") {
        assert!(!reading.is_finished(), "it did not look for archives");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for first in [1, 101, 201] {
        detach_in(&mut going, first).await;
    }
    going.commit().await.expect("gone");
    same(&whole, &reading.await.expect("it ran").expect("read"), "a stream");
}

/// What was skipped is known for good, wherever it was told.
#[tokio::test]
async fn skips_are_found_in_archives_and_in_the_log() {
    let database = database().await;
    let (before, _) = filled(&database).await;
    let keys = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let filler = stream();
    // Each key's first in a range that goes, its second, or what only the other has, in one that stays.
    for (round, some) in [&keys[..], &keys[..1]].into_iter().enumerate() {
        for key in some {
            let position = round as i64 + 1;
            let skip =
                ReadModelEvent::ParkedEventSkipped { model: "sessions".to_owned(), partition_key: *key, position };
            let id = ReadModel::key_stream_id("sessions", *key);
            let events = vec![NewEvent::new(Event::ReadModel(skip), envelope(), *key)];
            let stream = StreamId { aggregate: AggregateType::ReadModel, id };
            let write = Write { stream, expected: Expected::Any, events, fence: None };
            before.append(append(vec![write])).await.expect("appended");
        }
        before.append(append(vec![write(filler, round as i64 * 100, 100)])).await.expect("appended");
    }
    let skips = before.skips().await.expect("read");
    assert_eq!(skips.iter().map(|event| event.position.0).collect::<Vec<_>>(), [601, 602, 703]);
    let (after, _) = with_archive(&database, everything(&before).await).await;
    detach(&database, &[601]).await;
    same(&skips, &after.skips().await.expect("read"), "skips");
}

/// Nobody who reads meanwhile misses anything: a range and the note that it is detached are seen together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_to_those_who_read_while_ranges_go() {
    let database = database().await;
    let (before, streams) = filled(&database).await;
    let all = everything(&before).await;
    let some: PartitionSet = PartitionSet::ALL.iter().filter(|partition| partition.number() % 2 == 0).collect();
    let of_some = before.read(Position::START, 600, some).await.expect("read").events;
    let (store, shelf) = with_archive(&database, all.clone()).await;
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rounds = tokio::sync::watch::Sender::new(0_u32);
    let mut read = rounds.subscribe();
    let reader = {
        let (store, ended) = (store.clone(), Arc::clone(&ended));
        tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let read = store.read(Position::START, 600, some).await.expect("read").events;
                same(&of_some, &read, "some partitions");
                let read = store.read(Position::START, 600, PartitionSet::ALL).await.expect("read").events;
                assert_eq!(read.len(), all.len());
                let selection = (&[AggregateType::Token][..], &[][..], &Retention::ALL[..]);
                let read = store.read_selected(Position::START, Position(600), selection).await.expect("read");
                assert_eq!(read.len(), all.len());
                assert_eq!(store.read_stream(streams[7], 1).await.expect("read").len(), 30);
                assert!(everything(&store).await == all);
                store.forget(streams[8]);
                assert_eq!(store.load::<Token>(streams[8].id).await.expect("loaded").version, 30);
                rounds.send_modify(|rounds| *rounds += 1);
            }
        })
    };
    for first in [1, 101, 201, 301, 401, 501] {
        // In the middle of a round, somewhere.
        read.changed().await.expect("nothing was missing");
        tokio::time::sleep(std::time::Duration::from_millis(first as u64 % 7 * 5)).await;
        detach(&database, &[first]).await;
    }
    read.changed().await.expect("nothing was missing");
    ended.store(true, Ordering::Relaxed);
    reader.await.expect("nothing was missing");
    assert!(shelf.reads.load(Ordering::Relaxed) > 0);
}
