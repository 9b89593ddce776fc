//! Whatever happens to the workers, and whatever the events are like: the read models are a single-threaded fold of the log,
//! parked keys included, and the digests are those of the log.
//!
//! COULOMB_SEED runs one seed; COULOMB_SEEDS so many.

use std::time::Duration;

use event_store::EventStore;
use projection_service::Config;
use projection_service::parked::{self, Operator};
use projection_service::verify::verify;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use read_models::testing::{Network, Written, fold_log};
use schema::log::Position;
use schema::view::ViewStore;
use sqlx::postgres::PgPool;

use crate::folds::{refusing, two_versions};
use crate::poison::{assert_as_folded, assert_shadow_as_folded};
use crate::support::{Process, append, contained, empty, log, store_options};

const SEEDS: u64 = 3;
const ROUNDS: usize = 16;
const PROCESSES_MAX: usize = 4;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("COULOMB_SEED"), number("COULOMB_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, seeds) => (1_000..1_000 + seeds.unwrap_or(SEEDS)).collect(),
    }
}

/// Now and then an event that nobody can understand.
fn spoil(mut written: Vec<Written>, rng: &mut StdRng) -> Vec<Written> {
    for event in written.iter_mut().flat_map(|written| &mut written.events) {
        if rng.random_bool(0.002) {
            event.event_version = "77";
        }
    }
    written
}

async fn grow(store: &EventStore, network: &mut Network, rng: &mut StdRng, steps: usize) -> Position {
    let mut position = Position::START;
    for _ in 0..steps {
        position = append(store, spoil(network.step(), rng)).await;
    }
    position
}

/// An operator does something about a parked key, sensible or not.
async fn operate(pool: &PgPool, store: &EventStore, rng: &mut StdRng) {
    let operator = Operator { name: "test".to_owned(), reason: None };
    let keys = parked::list(pool, None, None, 1_000).await.unwrap();
    if keys.is_empty() {
        return;
    }
    let key = &keys[rng.random_range(0..keys.len())];
    let done = if rng.random_bool(0.5) {
        parked::release(pool, store, &operator, key.model, key.partition_key).await
    } else {
        let waiting = parked::waiting(pool, store, key, 1_000).await.unwrap();
        // A worker may have been faster.
        let Some(event) = waiting.get(rng.random_range(0..waiting.len().max(1))) else { return };
        let at = if rng.random_bool(0.7) { key.position } else { event.position };
        parked::skip(pool, store, &operator, key.model, key.partition_key, at).await
    };
    match done {
        Ok(_) | Err(parked::Error::NotParked { .. } | parked::Error::NotWaiting { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn survive(seed: u64) {
    println!("seed {seed}");
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));
    // A second build of the sessions, by another fold, has joined before anything happened.
    let shadow = rng.random_bool(0.7);
    if shadow {
        let joined = "UPDATE views.builds SET state = 'joined' WHERE state = 'building'";
        sqlx::query("SELECT views.begin_build('sessions', 2)").execute(pool).await.unwrap();
        sqlx::query(joined).execute(pool).await.unwrap();
    }
    let mut processes: Vec<Process> = vec![];
    for round in 0..ROUNDS {
        if processes.is_empty() || processes.len() < PROCESSES_MAX && rng.random_bool(0.6) {
            let (workers, transaction_pooler) = (rng.random_range(1..=4), rng.random_bool(0.3));
            processes.push(Process::start_through(
                database.url(),
                &format!("process-{round}"),
                transaction_pooler,
                |config| Config { workers, folds: two_versions(), ..config },
            ));
        }
        let steps = rng.random_range(1..80);
        let position = grow(&store, &mut network, &mut rng, steps).await;
        for _ in 0..rng.random_range(0..4) {
            operate(pool, &store, &mut rng).await;
        }
        if rng.random_bool(0.2) {
            contained(&views, position).await;
        }
        let victim = rng.random_range(0..processes.len());
        match rng.random_range(0..5) {
            0 => processes[victim].disconnect(pool).await,
            1 => drop(processes.swap_remove(victim)),
            // Longer than its leases last, mostly.
            2 | 3 => processes[victim].freeze(Duration::from_millis(rng.random_range(100..1_500))),
            _ => {}
        }
    }
    processes.push(Process::start_as(database.url(), "the last", |config| Config { folds: two_versions(), ..config }));
    let (head, _) = store.head().await.unwrap();
    contained(&views, head).await;
    let folded = fold_log(&refusing(), &log(&store).await);
    println!("seed {seed}: {} events, {} rows, {} keys parked", head.0, folded.rows.len(), folded.parked.len());
    assert!(!folded.rows.is_empty());
    assert_as_folded(pool, &store, &folded, seed).await;
    if shadow {
        assert_shadow_as_folded(pool, &store, fold_log(&two_versions(), &log(&store).await), seed).await;
    }
    let report = verify(pool, None, |_| ()).await.unwrap();
    assert!(report.is_sound() && report.position == head, "seed {seed}: {report:?}");
}

#[tokio::test]
async fn read_models_are_the_fold_of_the_log_whatever_happens() {
    for seed in seeds() {
        survive(seed).await;
    }
}
