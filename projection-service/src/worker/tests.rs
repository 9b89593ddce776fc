//! A worker that was frozen, and wakes.

use std::time::Duration;

use embedded_postgres::testing::database;
use event_store::leases::Share;
use event_store::{Append, EventStore, Expected, StoreOptions, Write};
use read_models::testing::Network;
use schema::log::Position;
use schema::partition::PARTITION_COUNT;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::tenure::Tenure;
use super::{Error, LEASES};
use crate::config::Config;
use crate::views::Views;

async fn take_all(store: &EventStore, holder: Uuid, ttl: Duration) -> Share {
    let mut share = Share::new();
    for partition in 0..i16::from(PARTITION_COUNT) {
        let lease = loop {
            if let Some(lease) = store.acquire_lease(LEASES, partition, holder, ttl).await.unwrap() {
                break lease;
            }
        };
        share.push(lease);
    }
    share
}

async fn grow(store: &EventStore, network: &mut Network, steps: usize) -> Position {
    let mut position = Position::START;
    for _ in 0..steps {
        for written in network.step() {
            let write = Write { stream: written.stream, expected: Expected::Any, events: written.events, fence: None };
            let append = Append { writes: vec![write], guards: vec![], key: None };
            position = store.append(append).await.unwrap().position();
        }
    }
    position
}

async fn digest(pool: &PgPool) -> (i64, i64) {
    let rows = "SELECT sum(position)::bigint FROM (SELECT position FROM views.charge_points UNION ALL \
                SELECT position FROM views.sessions UNION ALL SELECT position FROM views.commands) r";
    let rows = sqlx::query_scalar(rows).fetch_one(pool).await.unwrap();
    let reached = sqlx::query_scalar("SELECT position FROM views.reached()").fetch_one(pool).await.unwrap();
    (rows, reached)
}

#[tokio::test]
async fn a_frozen_worker_that_wakes_commits_nothing() {
    let database = database(&schema::MIGRATOR).await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    let mut network = Network::new(5);
    grow(&store, &mut network, 50).await;

    let first = take_all(&store, Uuid::now_v7(), Duration::from_millis(1)).await;
    let mut frozen = Tenure::claim(&config, &store, pool, &views, &first).await;
    // Its leases are short: it may have lost them by the time it claims.
    let mut attempts = vec![];
    while let Err(Error::Ended) = frozen {
        let again = take_all(&store, first[0].holder, Duration::from_secs(1)).await;
        attempts.push(again.clone());
        frozen = Tenure::claim(&config, &store, pool, &views, &again).await;
    }
    let mut frozen = frozen.unwrap();
    frozen.next().await.unwrap();

    // While it sleeps, its leases lapse and another takes all of them and works.
    let second = take_all(&store, Uuid::now_v7(), Duration::from_secs(60)).await;
    let mut successor = Tenure::claim(&config, &store, pool, &views, &second).await.unwrap();
    let position = grow(&store, &mut network, 50).await;
    while digest(pool).await.1 < position.0 - 5 {
        successor.next().await.unwrap();
    }
    let before = digest(pool).await;

    assert!(matches!(frozen.next().await, Err(Error::Ended)));
    assert_eq!(digest(pool).await, before);
    // Nor can it take them back with what it once held.
    for stale in attempts.iter().chain([&first]) {
        assert!(matches!(Tenure::claim(&config, &store, pool, &views, stale).await, Err(Error::Ended)));
    }
    let position = grow(&store, &mut network, 5).await;
    while digest(pool).await.1 < position.0 {
        successor.next().await.unwrap();
    }
}
