//! Hands that change at the worst moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use embedded_postgres::testing::database;
use event_store::feed::Error::OtherGeneration;
use event_store::leases::Share;
use event_store::stored::Filter;
use event_store::{
    Append, Archive, ArchiveError, ArchivedRange, EventStore, Expected, PartitionSet, StoreOptions, Write,
};
use futures_util::future::BoxFuture;
use pool::Pool;
use read_models::fold_all;
use read_models::testing::Network;
use schema::log::{Generation, Position, StreamId};
use schema::partition::PARTITION_COUNT;
use schema::stored::StoredEvent;
use schema::view::{FeedStart, Model, ViewFeeds};
use tokio::sync::watch;
use uuid::Uuid;

use super::release::RELEASED_EVENTS_MAX;
use super::tenure::Tenure;
use super::{Error, LEASES};
use crate::config::Config;
use crate::parked::{self, Operator};
use crate::views::Views;

const ALL: i16 = PARTITION_COUNT as i16;

/// Takes the first partitions, as soon as whoever has them has lost them.
async fn take(store: &EventStore, partitions: i16, holder: Uuid, ttl: Duration) -> Share {
    let mut share = Share::new();
    for partition in 0..partitions {
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

async fn digest(pool: &Pool) -> (i64, i64) {
    let rows = "SELECT sum(position)::bigint FROM (SELECT position FROM views.charge_points UNION ALL \
                SELECT position FROM views.sessions UNION ALL SELECT position FROM views.commands) r";
    let rows = sqlx::query_scalar(rows).fetch_one(pool).await.unwrap();
    let reached = sqlx::query_scalar("SELECT position FROM views.reached()").fetch_one(pool).await.unwrap();
    (rows, reached)
}

#[tokio::test]
async fn a_frozen_worker_that_wakes_commits_nothing() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    let mut network = Network::new(5);
    grow(&store, &mut network, 50).await;

    let first = take(&store, ALL, Uuid::now_v7(), Duration::from_millis(1)).await;
    let mut frozen = Tenure::claim(&config, &store, pool, &views, &first).await;
    // Its leases are short: it may have lost them by the time it claims.
    let mut attempts = vec![];
    let mut ttl = Duration::from_secs(1);
    while let Err(Error::Ended) = frozen {
        let again = take(&store, ALL, first[0].holder, ttl).await;
        ttl *= 2;
        attempts.push(again.clone());
        frozen = Tenure::claim(&config, &store, pool, &views, &again).await;
    }
    let mut frozen = frozen.unwrap();
    frozen.next().await.unwrap();

    // While it sleeps, its leases lapse and another takes all of them and works.
    let second = take(&store, ALL, Uuid::now_v7(), Duration::from_secs(60)).await;
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

/// Claims the first partitions and works until it is at the end of the log.
async fn work(store: &EventStore, pool: &Pool, views: &Views, partitions: i16, until: Position) {
    let config = Config::default();
    // No longer than the work: the next one need not wait for the leases.
    let holder = Uuid::now_v7();
    let share = take(store, partitions, holder, Duration::from_secs(20)).await;
    let mut tenure = Tenure::claim(&config, store, pool, views, &share).await.unwrap();
    while tenure.at() < until {
        tenure.next().await.unwrap();
    }
    for lease in &share {
        assert!(store.release_lease(lease).await.unwrap());
    }
}

/// What another process did meanwhile is not in what this one's worker publishes: a follower must find it in the tables.
#[tokio::test]
async fn a_follower_misses_nothing_that_another_process_wrote() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let (here, elsewhere) = (Views::new(&config, pool.clone()), Views::new(&config, pool.clone()));
    let mut network = Network::new(9);

    let position = grow(&store, &mut network, 30).await;
    work(&store, pool, &here, ALL, position).await;
    let mut feed = here.follow(FeedStart::After(Position::START));
    let (publish, mut followed) = watch::channel((Position::START, HashMap::new()));
    tokio::spawn(async move {
        let mut had: HashMap<(Model, String), Position> = HashMap::new();
        loop {
            let batch = feed.next().await.unwrap();
            for row in batch.rows {
                let seen = had.entry((row.row.model(), row.key.clone())).or_default();
                *seen = row.position.max(*seen);
            }
            publish.send_replace((batch.upto, had.clone()));
        }
    });
    // Of all partitions: a gap in what is published here. Of half of them: the next claim here is not even.
    for partitions_elsewhere in [ALL, ALL / 2, 0, ALL / 2, ALL] {
        let position = grow(&store, &mut network, 30).await;
        if partitions_elsewhere > 0 {
            work(&store, pool, &elsewhere, partitions_elsewhere, position).await;
        }
        let position = grow(&store, &mut network, 10).await;
        work(&store, pool, &here, ALL, position).await;
        let (_, had) = followed.wait_for(|(upto, _)| *upto >= position).await.unwrap().clone();
        for model in Model::ALL {
            let rows = format!("SELECT key, position FROM views.{}", model.name());
            let rows: Vec<(String, i64)> = sqlx::query_as(&rows).fetch_all(pool).await.unwrap();
            for (key, position) in rows {
                let seen = had.get(&(model, key.clone())).copied();
                assert_eq!(seen, Some(Position(position)), "{model:?} {key}, {partitions_elsewhere} elsewhere");
            }
        }
    }
}

#[tokio::test]
async fn a_new_generation_of_the_log_is_taken_over() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    let mut network = Network::new(13);
    let position = grow(&store, &mut network, 20).await;
    let share = take(&store, ALL, Uuid::now_v7(), Duration::from_secs(60)).await;
    let mut tenure = Tenure::claim(&config, &store, pool, &views, &share).await.unwrap();
    while tenure.at() < position {
        tenure.next().await.unwrap();
    }
    let mut feed = views.follow(FeedStart::Now);
    assert_eq!(feed.next().await.unwrap().generation, Generation::FIRST);

    sqlx::query("UPDATE log_head SET generation = 2").execute(pool).await.unwrap();
    let position = grow(&store, &mut network, 20).await;
    let ended = loop {
        if let Err(error) = tenure.next().await {
            break error;
        }
    };
    assert!(matches!(ended, Error::Follow(OtherGeneration { .. })), "{ended}");
    let mut tenure = Tenure::claim(&config, &store, pool, &views, &share).await.unwrap();
    while tenure.at() < position {
        tenure.next().await.unwrap();
    }
    let reached = views.tables().reached().await.unwrap();
    assert_eq!((reached.generation, reached.position), (Generation(2), position));
    while feed.next().await.unwrap().generation != Generation(2) {}
}

#[tokio::test]
async fn rows_that_are_ahead_of_the_log_are_not_built_upon() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    sqlx::query("UPDATE views.progress SET position = 77 WHERE partition = 3").execute(pool).await.unwrap();
    let share = take(&store, ALL, Uuid::now_v7(), Duration::from_secs(60)).await;
    let Err(Error::Write(error)) = Tenure::claim(&config, &store, pool, &views, &share).await else {
        panic!("it was claimed");
    };
    assert!(error.to_string().contains("ahead of the log"), "{error}");
}

/// More waits than one release applies: it is applied in as many as it takes, in order.
#[tokio::test]
async fn a_key_with_much_that_waits_is_released_step_by_step() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    let mut network = Network::new(17);
    let mut position = grow(&store, &mut network, 200).await;
    let busiest = "SELECT partition_key FROM events WHERE aggregate_type = 'ChargePoint' \
                   GROUP BY partition_key ORDER BY count(*) DESC LIMIT 1";
    let key: Uuid = sqlx::query_scalar(busiest).fetch_one(pool).await.unwrap();
    let first = "SELECT min(position) FROM events WHERE partition_key = $1 AND aggregate_type = 'ChargePoint'";
    let first: i64 = sqlx::query_scalar(first).bind(key).fetch_one(pool).await.unwrap();
    let set = async |version: &str| {
        let statement = sqlx::query("UPDATE events SET event_version = $1 WHERE position = $2");
        statement.bind(version).bind(first).execute(pool).await.unwrap();
    };
    set("77").await;
    // Read from the database, not from what this process has appended.
    let reader = EventStore::connect(pool.clone(), StoreOptions::default()).await.unwrap();
    let share = take(&reader, ALL, Uuid::now_v7(), Duration::from_secs(60)).await;
    let mut tenure = Tenure::claim(&config, &reader, pool, &views, &share).await.unwrap();
    while tenure.at() < position {
        tenure.next().await.unwrap();
    }
    set("1").await;
    let waiting = async || {
        let parked = parked::list(pool, Some(Model::ChargePoints), Some(key), 1).await.unwrap();
        parked.first().map_or(0, |parked| parked.waiting)
    };
    let before = waiting().await;
    assert!(before > 2 * RELEASED_EVENTS_MAX, "{before} events wait");
    let operator = Operator { name: "test".to_owned(), reason: None };
    let mut left = before;
    while left > 0 {
        position = parked::release(pool, &store, &operator, Model::ChargePoints, key).await.unwrap();
        while tenure.at() < position {
            tenure.next().await.unwrap();
        }
        let now = waiting().await;
        assert_eq!(now, (left - RELEASED_EVENTS_MAX).max(0));
        left = now;
    }
    let log = reader.read(Position::START, 10_000, PartitionSet::ALL).await.unwrap();
    let expected = fold_all(&log.events).unwrap();
    let row = &views.tables().get(Model::ChargePoints, &key.to_string()).await.unwrap().rows.unwrap();
    assert_eq!(row.row.to_json(), expected[&(Model::ChargePoints, key.to_string())].row.to_json());
    assert_eq!(row.position, position);
}

/// What waits in a range of the log that went, for as long as nothing can read its archive.
#[derive(Debug, Default)]
struct Shelf(Vec<StoredEvent>);

impl Archive for Shelf {
    fn read<'a>(
        &'a self,
        range: &'a ArchivedRange,
        after: Position,
        upto: Position,
        _: Option<StreamId>,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, ArchiveError>> {
        let is_of = |event: &&StoredEvent| {
            event.retention == range.retention.code() && event.position > after && event.position <= upto
        };
        let events: Vec<StoredEvent> = self.0.iter().filter(is_of).cloned().collect();
        let what = "shelf".to_owned();
        let read =
            if self.0.is_empty() { Err(ArchiveError::Missing { url: range.url.clone(), what }) } else { Ok(events) };
        Box::pin(async move { read })
    }
}

#[tokio::test]
async fn a_release_of_what_an_archive_does_not_give_stops_nobody_else() {
    let database = database(&schema::MIGRATOR).await;
    let pool = &Pool::from(database.pool());
    let small = "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1, events_ledger_10000001, \
                 events_operational_10000001, events_telemetry_10000001";
    for statement in [small, "DELETE FROM log_ranges"] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    let options = StoreOptions { range_positions: 100, ..StoreOptions::default() };
    let store = EventStore::connect(pool.clone(), options).await.unwrap();
    let config = Config::default();
    let views = Views::new(&config, pool.clone());
    let mut network = Network::new(17);
    let mut position = grow(&store, &mut network, 120).await;
    let events = store.look(Position::START, position, &Filter::default()).await.unwrap().events;
    assert_eq!(events.len() as i64, position.0);
    let first = events.iter().find(|event| event.aggregate_type == "ChargePoint").unwrap();
    let (key, class) = (first.partition_key, first.retention);
    let set = async |version: &str| {
        let statement = sqlx::query("UPDATE events SET event_version = $1 WHERE position = $2");
        statement.bind(version).bind(first.position.0).execute(pool).await.unwrap();
    };
    set("77").await;
    let reader = async |events| {
        let options = StoreOptions { archive: Some(Arc::new(Shelf(events))), ..StoreOptions::default() };
        EventStore::connect(pool.clone(), options).await.unwrap()
    };
    let without = reader(vec![]).await;
    let share = take(&without, ALL, Uuid::now_v7(), Duration::from_secs(60)).await;
    let mut tenure = Tenure::claim(&config, &without, pool, &views, &share).await.unwrap();
    while tenure.at() < position {
        tenure.next().await.unwrap();
    }
    let parked = async || parked::list(pool, Some(Model::ChargePoints), Some(key), 1).await.unwrap().pop();
    let before = parked().await.unwrap();
    assert_eq!(before.position, first.position);
    let archived = "INSERT INTO log_archives (retention, first, last, url, manifest_sha256, events, bytes, verified_at) \
                    VALUES ($1, 1, 100, 'memory:///', decode(repeat('00', 32), 'hex'), 100, 0, now())";
    sqlx::query(archived).bind(class).execute(pool).await.unwrap();
    sqlx::query("SELECT log_detach_range($1, 1)").bind(class).execute(pool).await.unwrap();

    let operator = Operator { name: "test".to_owned(), reason: None };
    parked::release(pool, &store, &operator, Model::ChargePoints, key).await.unwrap();
    position = grow(&store, &mut network, 10).await;
    while tenure.at() < position {
        tenure.next().await.expect("the others go on");
    }
    let still = parked().await.unwrap();
    assert_eq!(still.position, first.position);
    assert!(still.waiting >= before.waiting && !still.is_unfinished());
    assert!(still.error.contains("the archive at memory:/// has no shelf"), "{}", still.error);

    // Once it is there, nothing is missing.
    drop(tenure);
    let with = reader(events.clone()).await;
    let mut tenure = Tenure::claim(&config, &with, pool, &views, &share).await.unwrap();
    while parked().await.is_some() {
        position = parked::release(pool, &store, &operator, Model::ChargePoints, key).await.unwrap();
        while tenure.at() < position {
            tenure.next().await.unwrap();
        }
    }
    let log = with.read(Position::START, 10_000, PartitionSet::ALL).await.unwrap();
    let expected = fold_all(&log.events).unwrap();
    let row = &views.tables().get(Model::ChargePoints, &key.to_string()).await.unwrap().rows.unwrap();
    assert_eq!(row.row.to_json(), expected[&(Model::ChargePoints, key.to_string())].row.to_json());
}
