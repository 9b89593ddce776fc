use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_store::append::Error;
use event_store::{Append, Appended, EventStore, Expected, StoreOptions, Write};
use rand::Rng;
use sqlx::postgres::PgPool;

use crate::support::{PATIENCE, append, assert_sound, database, event_count, events, key, store_with, stream, write};

/// Ends the server's side of every lane, again and again.
async fn kill_lanes(pool: PgPool, stop: Arc<AtomicBool>) -> u64 {
    let mut killed = 0;
    while !stop.load(Ordering::Relaxed) {
        let lanes = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE '%FROM log_append%' AND pid <> pg_backend_pid()";
        killed += sqlx::query(lanes).fetch_all(&pool).await.expect("killed").len() as u64;
        let pause = rand::rng().random_range(2..60);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    killed
}

/// A stream's events, one append each. Whatever happens to connections, an answer must tell the truth.
async fn writer(store: EventStore, keyed: bool) -> i64 {
    let one = stream();
    for version in 0..60 {
        let key = keyed.then(|| key(&format!("{}-{version}", one.id), 1));
        let appended = store.append(Append { key, ..append(vec![write(one, version, 1)]) }).await;
        match appended {
            Ok(Appended::Committed { versions, .. }) => assert_eq!(versions, [version + 1]),
            other => panic!("at version {version}: {other:?}"),
        }
    }
    60
}

/// Appends that may be repeated are, and never twice; the others are told that nobody knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_twice() {
    let database = database().await;
    // However often a lane is lost before it has done anything.
    let store = store_with(&database, StoreOptions { retry_for: PATIENCE, ..StoreOptions::default() }).await;
    let stop = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn(kill_lanes(database.pool().clone(), Arc::clone(&stop)));
    let writers = (0..6).map(|n| tokio::spawn(writer(store.clone(), n % 2 == 0)));
    let careless = tokio::spawn({
        let store = store.clone();
        async move {
            let one = stream();
            let (mut sure, mut unsure) = (0, 0);
            for _ in 0..60 {
                let any = Write { stream: one, expected: Expected::Any, events: events(one, 1, 1), fence: None };
                match store.append(append(vec![any])).await {
                    Ok(_) => sure += 1,
                    Err(Error::UnknownOutcome(_)) => unsure += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (sure, unsure)
        }
    });
    let written = tokio::time::timeout(PATIENCE, futures_util::future::join_all(writers)).await.expect("in time");
    let written: i64 = written.into_iter().map(|written| written.expect("a writer")).sum();
    let (sure, unsure) = careless.await.expect("a writer");
    stop.store(true, Ordering::Relaxed);
    assert!(killer.await.expect("the killer") > 0);
    let count = event_count(&database).await;
    assert!((written + sure..=written + sure + unsure).contains(&count), "{written} + {sure} (+ {unsure}): {count}");
    assert_sound(&database).await;
}
