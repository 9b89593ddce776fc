//! A log that grows, and processes that fold it.

use std::sync::Arc;
use std::time::Duration;

use embedded_postgres::testing::{TestDatabase, database};
use event_store::{Append, EventStore, Expected, PartitionSet, StoreOptions, Write};
use projection_service::{Config, Views};
use read_models::testing::{Network, Written};
use read_models::{Folds, Rows, fold_all};
use schema::log::{Position, RecordedEvent};
use schema::view::{FeedOptions, Model, Query, ViewStore};
use service_host::{Readiness, Shutdown};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

/// Short, so that what a killed worker held is soon taken over.
const LEASE_TTL: Duration = Duration::from_millis(400);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Only a test that hangs waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub async fn empty() -> TestDatabase {
    database(&schema::MIGRATOR).await
}

pub fn store_options() -> StoreOptions {
    StoreOptions { poll_every: POLL_EVERY, ..StoreOptions::default() }
}

fn config(connect: &PgConnectOptions) -> Config {
    let feed = FeedOptions { listen: Some(connect.clone().into()), poll_every: POLL_EVERY };
    // Few rows in memory, so that some are read and some are not.
    Config { lease_ttl: LEASE_TTL, rows_max: 40, feed, ..Config::default() }
}

/// Appends what a network does.
pub async fn append(store: &EventStore, written: Vec<Written>) -> Position {
    let mut writes: Vec<Write> = vec![];
    for Written { stream, events } in written {
        match writes.iter_mut().find(|write| write.stream == stream) {
            Some(write) => write.events.extend(events),
            None => writes.push(Write { stream, expected: Expected::Any, events, fence: None }),
        }
    }
    let append = Append { writes, guards: vec![], key: None };
    store.append(append).await.expect("appended").position()
}

pub async fn grow(store: &EventStore, network: &mut Network, steps: usize) -> Position {
    let mut position = Position::START;
    for _ in 0..steps {
        position = append(store, network.step()).await;
    }
    position
}

/// A process: a runtime of its own, with its own connections. Dropping it kills it: nothing is given back or finished.
pub struct Process {
    pub name: String,
    pub views: Views,
    pub readiness: Readiness,
    runtime: Option<Runtime>,
}

impl Process {
    pub fn start(url: &str, name: &str) -> Self {
        Self::start_with(url, name, false)
    }

    /// `transaction_pooler`: it takes the way that suits a pooler, though there is none.
    pub fn start_with(url: &str, name: &str, transaction_pooler: bool) -> Self {
        Self::start_through(url, name, transaction_pooler, |config| config)
    }

    /// Of a program that has these folds.
    pub fn start_with_folds(url: &str, name: &str, transaction_pooler: bool, folds: Folds) -> Self {
        Self::start_through(url, name, transaction_pooler, |config| Config { folds, ..config })
    }

    pub fn start_as(url: &str, name: &str, change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_through(url, name, false, change)
    }

    pub fn start_through(
        url: &str,
        name: &str,
        transaction_pooler: bool,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connect: PgConnectOptions = url.parse::<PgConnectOptions>().unwrap().application_name(name);
        let readiness = Readiness::default();
        let (ready, store_of) = (readiness.clone(), connect.clone());
        let config = change(config(&connect));
        let views = std::thread::scope(|scope| {
            let start = || {
                runtime.block_on(async {
                    let pool = PgPoolOptions::new().max_connections(5).connect_with(store_of).await.unwrap();
                    let direct = pool::Pool::from(pool.clone());
                    let pool = if transaction_pooler { direct.clone().carried(Some(direct)) } else { direct };
                    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
                    let (views, work) = projection_service::start(config, store, pool, &ready, Shutdown::new());
                    tokio::spawn(work);
                    views
                })
            };
            scope.spawn(start).join().unwrap()
        });
        Self { name: name.to_owned(), views, readiness, runtime: Some(runtime) }
    }

    /// The process does nothing for so long, as if it were stopped; then it wakes where it was.
    pub fn freeze(&self, frozen: Duration) {
        // It has one thread.
        let sleep = async move { std::thread::sleep(frozen) };
        if let Some(runtime) = &self.runtime {
            runtime.spawn(sleep);
        }
    }

    /// Cuts every connection of the process.
    pub async fn disconnect(&self, pool: &PgPool) {
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1")
            .bind(&self.name)
            .execute(pool)
            .await
            .unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until the tables contain everything up to a position.
pub async fn contained(store: &ViewStore, position: Position) {
    let waiting = async {
        while store.reached().await.unwrap().position < position {
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("the read models stay at {:?}, before {position}", store.reached().await.unwrap());
    }
}

pub async fn log(store: &EventStore) -> Vec<Arc<RecordedEvent>> {
    let mut events = vec![];
    let mut from = Position::START;
    loop {
        let stretch = store.read(from, 10_000, PartitionSet::ALL).await.unwrap();
        events.extend(stretch.events.into_iter().map(Arc::new));
        if stretch.upto == from {
            return events;
        }
        from = stretch.upto;
    }
}

/// Events that change no row, of many keys, written in one statement: so many that blocks of positions are full. Answers
/// the head.
pub async fn fill(pool: &PgPool, events: i64) -> Position {
    let payload = include_str!("../../../schema/golden/ChargePoint/DataTransferred.v1.json");
    let head = sqlx::query_scalar(include_str!("fill.sql")).bind(events).bind(payload).fetch_one(pool).await.unwrap();
    Position(head)
}

/// Every row of every table.
pub async fn tables(store: &ViewStore) -> Rows {
    let mut rows = Rows::new();
    for model in Model::ALL {
        let mut after = None;
        loop {
            // Small pages, so that there are several.
            let query = Query::of(model).changed_after(Position::START).after(after).limit(100);
            let page = store.list(&query).await.unwrap();
            rows.extend(page.rows.iter().map(|row| ((model, row.key.clone()), row.as_ref().clone())));
            match page.next {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
    }
    rows
}

/// Rows are the same in all that is stored of them.
#[track_caller]
pub fn assert_same(actual: &Rows, expected: &Rows, seed: u64) {
    for (slot, expected) in expected {
        let Some(actual) = actual.get(slot) else { panic!("seed {seed}: {slot:?} is missing") };
        let told = |row: &schema::view::RowChange| (row.partition, row.generation, row.position, row.removed);
        assert_eq!(told(actual), told(expected), "seed {seed}: {slot:?}");
        assert_eq!(actual.row.to_json(), expected.row.to_json(), "seed {seed}: {slot:?}");
    }
    for slot in actual.keys() {
        assert!(expected.contains_key(slot), "seed {seed}: {slot:?} should not be there");
    }
}

/// The tables are what a single-threaded fold of the log makes.
pub async fn assert_tables_are_the_fold(store: &EventStore, views: &ViewStore, seed: u64) {
    let expected = fold_all(log(store).await.iter().map(AsRef::as_ref)).unwrap();
    assert!(!expected.is_empty());
    assert_same(&tables(views).await, &expected, seed);
}
