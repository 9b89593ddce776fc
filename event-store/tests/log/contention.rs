use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use domain::id::Epoch;
use embedded_postgres::testing::TestDatabase;
use event_store::append::Error;
use event_store::{Append, Appended, EventStore, Expected, Guard, GuardCondition, StoreOptions, Write};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use schema::log::StreamId;

use crate::support::{PATIENCE, append, assert_sound, database, events, key, store_with, stream};

const STREAMS: usize = 12;
const WRITERS: u64 = 8;
const APPENDS: usize = 60;

/// Several stores with several flushes each write to the same few streams, in crossing order, with guards and keys. The seed
/// is in the message of what fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appenders_neither_lose_an_update_nor_lock_up() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let database = database().await;
    deadlocks_last(&database).await;
    let options = StoreOptions { flushes_max: 3, flush_timeout: 2 * PATIENCE, ..StoreOptions::default() };
    let stores = [
        store_with(&database, options.clone()).await,
        store_with(&database, options.clone()).await,
        store_with(&database, options).await,
    ];
    let streams: Arc<Vec<StreamId>> = Arc::new((0..STREAMS).map(|_| stream()).collect());
    let versions = Arc::new(Mutex::new(HashMap::new()));
    let writers = (0..WRITERS).map(|n| {
        let store = stores[n as usize % stores.len()].clone();
        let random = StdRng::seed_from_u64(seed.wrapping_add(n));
        tokio::spawn(writer(n, store, random, Arc::clone(&streams), Arc::clone(&versions)))
    });
    let written: i64 = tokio::time::timeout(PATIENCE, futures_util::future::join_all(writers))
        .await
        .expect("no deadlock")
        .into_iter()
        .map(|writer| writer.expect("a writer"))
        .sum();
    assert_eq!(stores[0].head().await.expect("head").0.0, written);
    assert_sound(&database).await;
}

/// The server ends none, so that one that arises hangs the test.
async fn deadlocks_last(database: &TestDatabase) {
    let statement = include_str!("deadlocks_last.sql");
    sqlx::query(statement).execute(database.pool()).await.expect("a setting of a superuser");
}

/// How many events it got into the log.
async fn writer(
    n: u64,
    store: EventStore,
    mut random: StdRng,
    streams: Arc<Vec<StreamId>>,
    versions: Arc<Mutex<HashMap<StreamId, i64>>>,
) -> i64 {
    let mut written = 0;
    for nth in 0..APPENDS {
        let chosen: Vec<StreamId> = streams.choose_multiple(&mut random, 3).copied().collect();
        let known = |stream: StreamId| versions.lock().expect("unpoisoned").get(&stream).copied().unwrap_or(0);
        let count = random.random_range(1..4);
        let writes: Vec<Write> = chosen[..2]
            .iter()
            .map(|&stream| {
                let version = known(stream);
                let expected = if random.random_bool(0.2) { Expected::Any } else { Expected::version(version) };
                Write { stream, expected, events: events(stream, version + 1, count), fence: None }
            })
            .collect();
        let condition = if random.random_bool(0.5) {
            GuardCondition::Version(known(chosen[2]))
        } else {
            GuardCondition::Fence(Epoch(0))
        };
        let key = random.random_bool(0.5).then(|| key(&format!("{n}-{nth}"), 1));
        let guards = vec![Guard { stream: chosen[2], condition }];
        match store.append(Append { key, guards, ..append(writes) }).await {
            Ok(Appended::Committed { versions: reached, .. }) => {
                let mut known = versions.lock().expect("unpoisoned");
                for (stream, reached) in chosen.iter().zip(reached) {
                    let version = known.entry(*stream).or_default();
                    *version = reached.max(*version);
                }
                written += 2 * count;
            }
            Ok(Appended::Replayed { .. }) => panic!("no key comes twice"),
            Err(Error::Conflict { stream, actual, .. }) => {
                let mut known = versions.lock().expect("unpoisoned");
                let version = known.entry(stream).or_default();
                *version = actual.max(*version);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    written
}

/// Everybody wants to be the next in one stream: each version is reached by one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_who_want_one_version_one_gets_it() {
    let database = database().await;
    let stores =
        [store_with(&database, StoreOptions::default()).await, store_with(&database, StoreOptions::default()).await];
    let one = stream();
    for version in 0..10 {
        let write = || Write {
            stream: one,
            expected: Expected::version(version),
            events: events(one, version + 1, 1),
            fence: None,
        };
        let appends = (0..16).map(|n| stores[n % 2].append(append(vec![write()])));
        let outcomes = futures_util::future::join_all(appends).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "at version {version}: {outcomes:?}");
    }
    assert_sound(&database).await;
}
