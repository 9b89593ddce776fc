//! Whatever is killed, and whenever: the rows are those of a single-threaded fold of the log.

use event_store::EventStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use read_models::testing::Network;
use schema::view::ViewStore;

use crate::support::{Process, assert_tables_are_the_fold, contained, empty, grow, store_options};

const SEEDS: u64 = 3;
const ROUNDS: usize = 12;

/// Processes come, lose their connections and are killed, up to `processes_max` at a time, while the log grows.
async fn survive(seed: u64, processes_max: usize) {
    println!("seed {seed}, {processes_max} processes");
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone());
    let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));
    let mut processes: Vec<Process> = vec![];
    let mut started = 0;
    for _ in 0..ROUNDS {
        if processes.len() < processes_max {
            started += 1;
            let (name, transaction_pooler) = (format!("worker-{started}"), started % 2 == 0);
            processes.push(Process::start_with(database.url(), &name, transaction_pooler));
        }
        let position = grow(&store, &mut network, rng.random_range(1..60)).await;
        // Sometimes in the middle of the work, sometimes when it is done.
        if rng.random_bool(0.3) {
            contained(&views, position).await;
        } else {
            grow(&store, &mut network, rng.random_range(0..200)).await;
        }
        let victim = rng.random_range(0..processes.len());
        match rng.random_range(0..3) {
            0 => processes[victim].disconnect(database.pool()).await,
            1 => drop(processes.swap_remove(victim)),
            _ => {}
        }
    }
    processes.push(Process::start(database.url(), "the last"));
    let (head, _) = store.head().await.unwrap();
    contained(&views, head).await;
    assert_tables_are_the_fold(&store, &views, seed).await;
}

#[tokio::test]
async fn a_worker_that_is_killed_and_started_again_loses_nothing() {
    for seed in 0..SEEDS {
        survive(seed, 1).await;
    }
}

#[tokio::test]
async fn workers_that_come_and_go_share_the_work() {
    for seed in 100..100 + SEEDS {
        survive(seed, 3).await;
    }
}
