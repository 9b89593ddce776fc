use domain::id::Epoch;
use event_store::append::Error;
use event_store::{Append, Appended, EventStore, Expected, Guard, GuardCondition, StoreOptions, Write};
use schema::log::{Generation, Position};
use schema::partition::partition;

use crate::support::{append, assert_sound, database, events, store, stream, write};

#[tokio::test]
async fn events_come_back_as_they_were_written() {
    let database = database().await;
    let store = store(&database).await;
    let (one, other) = (stream(), stream());
    let appended = store.append(append(vec![write(one, 0, 2), write(other, 0, 1)])).await.expect("appended");
    let Appended::Committed { position, generation, versions, .. } = appended else { panic!("{appended:?}") };
    assert_eq!((position, generation, versions), (Position(3), Generation::FIRST, vec![2, 1]));

    let again = store.append(append(vec![write(one, 2, 1)])).await.expect("appended");
    assert_eq!(again.position(), Position(4));
    let read = store.read_stream(one, 2).await.expect("read");
    assert_eq!(read.iter().map(|e| (e.position.0, e.sequence)).collect::<Vec<_>>(), [(2, 2), (4, 3)]);
    assert_eq!(read[0].partition, partition(one.id));
    assert_eq!(read[0].event.as_ref().expect("decoded"), &events(one, 2, 1)[0].event);
    assert_eq!(read[0].envelope, events(one, 2, 1)[0].envelope);
    assert_eq!(store.head().await.expect("head"), (Position(4), Generation::FIRST));
    assert_sound(&database).await;
}

#[tokio::test]
async fn losers_of_a_flush_are_refused_alone() {
    let database = database().await;
    let store = store(&database).await;
    let streams: Vec<_> = (0..20).map(|_| stream()).collect();
    // While the first flush is under way the others gather into one.
    let outcomes = futures_util::future::join_all(streams.iter().enumerate().map(|(n, &stream)| {
        let version = if n % 3 == 0 { 7 } else { 0 };
        store.append(append(vec![write(stream, version, 2)]))
    }));
    for (n, outcome) in outcomes.await.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert_ne!(n % 3, 0),
            Err(Error::Conflict { stream, expected, actual }) => {
                assert_eq!((n % 3, stream, expected, actual), (0, streams[n], Expected::Version(7), 0));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_sound(&database).await;
}

#[tokio::test]
async fn one_append_is_all_or_nothing() {
    let database = database().await;
    let store = store(&database).await;
    let (one, other) = (stream(), stream());
    let refused = store.append(append(vec![write(one, 0, 1), write(other, 5, 1)])).await;
    assert!(matches!(refused, Err(Error::Conflict { stream, actual: 0, .. }) if stream == other), "{refused:?}");
    assert_eq!(store.head().await.expect("head").0, Position(0));
    // A new one that exists already.
    store.append(append(vec![write(one, 0, 1)])).await.expect("appended");
    let refused = store.append(append(vec![write(one, 0, 1)])).await;
    assert!(matches!(refused, Err(Error::Conflict { actual: 1, expected: Expected::New, .. })), "{refused:?}");
    // Whatever there is.
    let any = Write { expected: Expected::Any, ..write(one, 1, 1) };
    let appended = store.append(append(vec![any])).await.expect("appended");
    assert!(matches!(appended, Appended::Committed { versions, .. } if versions == [2]));
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_fence_keeps_the_older_owner_out() {
    let database = database().await;
    let store = store(&database).await;
    let (charger, session) = (stream(), stream());
    let connect = |version, epoch| append(vec![Write { fence: Some(Epoch(epoch)), ..write(charger, version, 1) }]);
    let report = |version, epoch| Append {
        writes: vec![write(session, version, 1)],
        guards: vec![Guard { stream: charger, condition: GuardCondition::Fence(Epoch(epoch)) }],
        key: None,
    };
    store.append(connect(0, 1)).await.expect("the first owner");
    store.append(report(0, 1)).await.expect("its report");
    store.append(connect(1, 2)).await.expect("the second owner");
    let late = store.append(report(1, 1)).await;
    assert!(matches!(late, Err(Error::Fenced { stream }) if stream == charger), "{late:?}");
    let not_above = store.append(connect(2, 2)).await;
    assert!(matches!(not_above, Err(Error::Fenced { .. })), "{not_above:?}");
    store.append(report(1, 2)).await.expect("the second owner's report");
    assert_sound(&database).await;
}

/// Most reports of a charger are written to the very stream whose fence guards them.
#[tokio::test]
async fn a_guard_holds_for_the_stream_that_is_written_too() {
    let database = database().await;
    let store = store(&database).await;
    let charger = stream();
    let guarded = |version, condition, fence: Option<i64>| Append {
        writes: vec![Write { fence: fence.map(Epoch), ..write(charger, version, 1) }],
        guards: vec![Guard { stream: charger, condition }],
        key: None,
    };
    let fence = |epoch| GuardCondition::Fence(Epoch(epoch));
    let connect = |version, epoch| append(vec![Write { fence: Some(Epoch(epoch)), ..write(charger, version, 1) }]);
    store.append(connect(0, 1)).await.expect("the first owner");
    store.append(guarded(1, fence(1), None)).await.expect("its report");
    store.append(connect(2, 2)).await.expect("the second owner");
    let late = store.append(guarded(3, fence(1), None)).await;
    assert!(matches!(late, Err(Error::Fenced { stream }) if stream == charger), "{late:?}");
    store.append(guarded(3, fence(2), None)).await.expect("the second owner's report");
    let moved = store.append(guarded(4, GuardCondition::Version(3), None)).await;
    assert!(matches!(moved, Err(Error::Conflict { actual: 4, .. })), "{moved:?}");
    store.append(guarded(4, GuardCondition::Version(4), None)).await.expect("as it was before");
    // A new owner that names the one before.
    let unknown = store.append(guarded(5, fence(1), Some(3))).await;
    assert!(matches!(unknown, Err(Error::Fenced { .. })), "{unknown:?}");
    store.append(guarded(5, fence(2), Some(3))).await.expect("the third owner");
    store.append(guarded(6, fence(3), None)).await.expect("its report");
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_guard_on_a_version_refuses_what_was_decided_on_an_older_one() {
    let database = database().await;
    let store = store(&database).await;
    let (read, written) = (stream(), stream());
    let guarded = |version| Append {
        guards: vec![Guard { stream: read, condition: GuardCondition::Version(version) }],
        ..append(vec![write(written, 0, 1)])
    };
    let refused = store.append(guarded(1)).await;
    assert!(matches!(refused, Err(Error::Conflict { stream, actual: 0, .. }) if stream == read), "{refused:?}");
    store.append(append(vec![write(read, 0, 1)])).await.expect("appended");
    store.append(guarded(1)).await.expect("appended");
    assert_sound(&database).await;
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused_before_it_is_sent() {
    let database = database().await;
    let store = store(&database).await;
    let one = stream();
    let mut large = write(one, 0, 1);
    large.events[0].payload = format!("\"{}\"", "x".repeat(event_store::append::PAYLOAD_BYTES_MAX));
    assert!(matches!(store.append(append(vec![large])).await, Err(Error::TooLarge { .. })));
    let twice = append(vec![write(one, 0, 1), write(one, 1, 1)]);
    assert!(matches!(store.append(twice).await, Err(Error::Invalid(_))));
    assert!(matches!(store.append(append(vec![])).await, Err(Error::Invalid(_))));
}

/// A payload that the server rejects must not take the rest of its flush with it.
#[tokio::test]
async fn a_rejected_payload_is_refused_alone() {
    let database = database().await;
    let store = store(&database).await;
    let outcomes = futures_util::future::join_all((0..30).map(|n| {
        let mut write = write(stream(), 0, 1);
        if n == 17 {
            write.events[0].payload = "not JSON".into();
        }
        store.append(append(vec![write]))
    }));
    for (n, outcome) in outcomes.await.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), n == 17, "{n}: {outcome:?}");
    }
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cancel_its_append() {
    let database = database().await;
    let store = store(&database).await;
    let one = stream();
    let mut append = Box::pin(store.append(append(vec![write(one, 0, 1)])));
    // Polled once: it is in the lane, which runs in another task.
    assert!(futures_util::poll!(append.as_mut()).is_pending());
    drop(append);
    while store.head().await.expect("head").0 == Position(0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.read_stream(one, 1).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_transaction_pooler_is_spared_of_what_it_cannot_carry() {
    let database = database().await;
    let pool = pool::Pool::from(database.pool()).carried(None);
    let store = EventStore::connect(pool, StoreOptions::default()).await.expect("a store");
    let one = stream();
    store.append(append(vec![write(one, 0, 3)])).await.expect("appended");
    assert_eq!(store.read_stream(one, 1).await.expect("read").len(), 3);
    assert!(store.append(append(vec![write(one, 0, 3)])).await.is_err());
    assert_sound(&database).await;
}

#[tokio::test]
async fn recorded_at_never_goes_back_when_the_clock_does() {
    let database = database().await;
    let store = store(&database).await;
    sqlx::query("UPDATE log_head SET recorded_at = clock_timestamp() + interval '1 hour'")
        .execute(database.pool())
        .await
        .expect("a clock that was ahead");
    for _ in 0..3 {
        store.append(append(vec![write(stream(), 0, 1)])).await.expect("appended");
    }
    let stretch = store.read(Position::START, 10, event_store::PartitionSet::ALL).await.expect("read");
    assert_eq!(stretch.events.len(), 3);
    assert!(stretch.events[0].recorded_at > chrono::Utc::now());
    assert_sound(&database).await;
}

/// A server with `jit` on compiles what the planner thinks dear, and a planner that is kept from scans thinks all dear.
#[tokio::test]
async fn no_function_that_steers_the_planner_is_compiled_at_each_call() {
    let database = database().await;
    let steered = "SELECT count(*), count(*) FILTER (WHERE 'jit=off' = ANY (proconfig)) FROM pg_proc, unnest(proconfig) setting \
                   WHERE setting ~ '^(enable_|plan_cache_mode)'";
    let (steered, uncompiled): (i64, i64) =
        sqlx::query_as(steered).fetch_one(database.pool()).await.expect("two counts");
    assert!(steered > 0);
    assert_eq!(uncompiled, steered);
}
