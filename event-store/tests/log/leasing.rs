use std::collections::HashSet;
use std::time::Duration;

use event_store::EventStore;
use event_store::leases::{Lease, ShareOptions, Shares, assert_in};
use uuid::Uuid;

use crate::support::{PATIENCE, database, store};

const LONG: Duration = Duration::from_secs(600);

async fn acquire(store: &EventStore, holder: Uuid, ttl: Duration) -> Option<Lease> {
    store.acquire_lease("work", 0, holder, ttl).await.expect("asked")
}

#[tokio::test]
async fn a_lease_has_one_holder_and_a_new_epoch_for_each() {
    let database = database().await;
    let store = store(&database).await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let first = acquire(&store, one, LONG).await.expect("free");
    assert_eq!(acquire(&store, other, LONG).await, None);
    assert_eq!(acquire(&store, one, LONG).await.as_ref(), Some(&first), "one's own, under the same epoch");
    assert!(store.release_lease(&first).await.expect("asked"));
    let second = acquire(&store, other, LONG).await.expect("released");
    assert!(second.epoch > first.epoch);
    assert!(!store.renew_lease(&first, LONG).await.expect("asked"));
    assert!(store.renew_lease(&second, LONG).await.expect("asked"));
}

#[tokio::test]
async fn a_holder_that_went_silent_is_found_and_followed() {
    let database = database().await;
    let store = store(&database).await;
    let gone = acquire(&store, Uuid::now_v7(), Duration::ZERO).await.expect("free");
    assert_eq!(store.lapsed_leases("work").await.expect("asked"), std::slice::from_ref(&gone));
    let successor = acquire(&store, Uuid::now_v7(), LONG).await.expect("lapsed");
    assert!(successor.epoch > gone.epoch);
    assert_eq!(store.lapsed_leases("work").await.expect("asked"), []);
}

/// The owner freezes in the middle of its work, another takes over, the first wakes: it commits nothing.
#[tokio::test]
async fn a_frozen_owner_that_wakes_commits_nothing() {
    let database = database().await;
    let store = store(&database).await;
    sqlx::query("CREATE TABLE work (done text)").execute(database.pool()).await.expect("a table");
    let frozen = acquire(&store, Uuid::now_v7(), Duration::ZERO).await.expect("free");
    let mut late = pool::Pool::from(database.pool()).begin().await.expect("a transaction");
    sqlx::query("INSERT INTO work VALUES ('late')").execute(&mut *late).await.expect("its work");
    let owner = acquire(&store, Uuid::now_v7(), LONG).await.expect("lapsed");
    assert!(!assert_in(&mut late, &[frozen]).await.expect("asked"));
    late.rollback().await.expect("rolled back");

    let mut good = pool::Pool::from(database.pool()).begin().await.expect("a transaction");
    sqlx::query("INSERT INTO work VALUES ('good')").execute(&mut *good).await.expect("its work");
    assert!(assert_in(&mut good, &[owner]).await.expect("asked"));
    good.commit().await.expect("committed");
    let done = sqlx::query("SELECT done FROM work WHERE done = 'late'").fetch_all(database.pool()).await;
    assert!(done.expect("asked").is_empty());
}

/// Who has asserted its lease commits before anybody takes it over.
#[tokio::test]
async fn a_takeover_waits_for_a_commit_that_has_asserted() {
    let database = database().await;
    let store = store(&database).await;
    let owner = acquire(&store, Uuid::now_v7(), Duration::ZERO).await.expect("free");
    let mut work = pool::Pool::from(database.pool()).begin().await.expect("a transaction");
    assert!(assert_in(&mut work, &[owner]).await.expect("asked"), "it lapsed, and nobody has taken it");
    let mut takeover = Box::pin(acquire(&store, Uuid::now_v7(), LONG));
    let waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO leases%'";
    loop {
        tokio::select! {
            biased;
            taken = &mut takeover => panic!("{taken:?} before the commit"),
            blocked = sqlx::query(waiting).fetch_optional(database.pool()) => {
                if blocked.expect("asked").is_some() {
                    break;
                }
            }
        }
    }
    work.commit().await.expect("committed");
    assert!(takeover.await.is_some());
}

/// Waits until the workers hold everything, nobody more than one above another, and nothing twice.
async fn settle(workers: &mut [Shares], partitions: usize) {
    let settled = async {
        loop {
            let shares: Vec<_> = workers.iter().map(Shares::current).collect();
            let sizes: Vec<usize> = shares.iter().map(Vec::len).collect();
            let distinct: HashSet<i16> = shares.iter().flatten().map(|lease| lease.partition).collect();
            let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
            let fair = most.zip(least).is_some_and(|(most, least)| most - least <= 1);
            if fair && distinct.len() == partitions && sizes.iter().sum::<usize>() == partitions {
                return;
            }
            let changes = workers.iter_mut().map(|worker| Box::pin(worker.changed()));
            futures_util::future::select_all(changes).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("the shares settle");
}

#[tokio::test]
async fn partitions_are_shared_out_fairly_as_workers_come_and_go() {
    let database = database().await;
    let options = || ShareOptions { ttl: Duration::from_millis(400), ..ShareOptions::new("projection", 64) };
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(Shares::keep(store(&database).await, options()));
        settle(&mut workers, 64).await;
    }
    // One leaves.
    workers.remove(1);
    settle(&mut workers, 64).await;
    // One is killed: it neither renews nor gives back.
    sqlx::query(
        "INSERT INTO lease_workers VALUES ('projection', gen_random_uuid(), clock_timestamp() + interval '300 ms')",
    )
    .execute(database.pool())
    .await
    .expect("a dead worker");
    settle(&mut workers, 64).await;
}
