//! A log that grows, processes that fold it, and what was at any position of it.

use std::sync::Arc;
use std::time::Duration;

use embedded_postgres::testing::{TestDatabase, database};
use event_store::{Append, EventStore, Expected, PartitionSet, StoreOptions, Write};
use history::{Asked, Moment, Past};
use projection_service::Config;
use read_models::testing::{Network, Written};
use read_models::{Rows, fold_all};
use schema::log::{Position, RecordedEvent};
use schema::view::{FeedOptions, Model, Query, Row, RowChange, ViewStore};
use service_host::{Readiness, Shutdown};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;

const LEASE_TTL: Duration = Duration::from_millis(400);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Only a test that hangs waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub store: EventStore,
    pub views: ViewStore,
    pub past: Past,
    pub database: TestDatabase,
}

impl World {
    /// Rows are kept every so many positions.
    pub async fn new(every: i64) -> Self {
        let database = database(&schema::MIGRATOR).await;
        let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
        let views = ViewStore::new(database.pool().clone());
        let past = Past::new(store.clone(), views.clone());
        let world = Self { store, views, past, database };
        world.keep_every(every).await;
        world
    }

    pub async fn keep_every(&self, every: i64) {
        sqlx::query("SELECT history.keep_every($1)").bind(every).execute(self.database.pool()).await.unwrap();
    }

    pub async fn grow(&self, network: &mut Network, steps: usize) -> Position {
        let mut position = Position::START;
        for _ in 0..steps {
            position = append(&self.store, network.step()).await;
        }
        position
    }

    /// Waits until the tables contain everything up to a position.
    pub async fn contained(&self, position: Position) {
        let waiting = async {
            while self.views.reached().await.unwrap().position < position {
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("the read models stay at {:?}, before {position}", self.views.reached().await.unwrap());
        }
    }

    pub async fn log(&self) -> Vec<Arc<RecordedEvent>> {
        let (mut events, mut from) = (vec![], Position::START);
        loop {
            let stretch = self.store.read(from, 10_000, PartitionSet::ALL).await.unwrap();
            events.extend(stretch.events.into_iter().map(Arc::new));
            if stretch.upto == from {
                return events;
            }
            from = stretch.upto;
        }
    }

    pub async fn at(&self, position: i64) -> Moment {
        self.past.moment(Asked::Position(Position(position))).await.unwrap()
    }

    pub fn start(&self, name: &str) -> Process {
        Process::start(self.database.url(), name)
    }

    /// All pages of a list, of few rows each.
    pub async fn pages(&self, query: Query, at: &Moment) -> Vec<RowChange> {
        let (mut rows, mut after) = (vec![], None);
        loop {
            let page = self.past.list(&query.clone().limit(9).after(after), at).await.unwrap();
            assert!(page.rows.len() <= 9 && page.reached.position == at.position);
            rows.extend(page.rows.iter().map(|row| row.as_ref().clone()));
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    }
}

fn store_options() -> StoreOptions {
    StoreOptions { poll_every: POLL_EVERY, ..StoreOptions::default() }
}

async fn append(store: &EventStore, written: Vec<Written>) -> Position {
    let mut writes: Vec<Write> = vec![];
    for Written { stream, events } in written {
        match writes.iter_mut().find(|write| write.stream == stream) {
            Some(write) => write.events.extend(events),
            None => writes.push(Write { stream, expected: Expected::Any, events, fence: None }),
        }
    }
    store.append(Append { writes, guards: vec![], key: None }).await.expect("appended").position()
}

/// A process with a worker. Dropping it kills it.
pub struct Process {
    runtime: Option<Runtime>,
}

impl Process {
    fn start(url: &str, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connect: PgConnectOptions = url.parse::<PgConnectOptions>().unwrap().application_name(name);
        std::thread::scope(|scope| {
            let start = || {
                runtime.block_on(async {
                    let pool = PgPoolOptions::new().max_connections(5).connect_with(connect.clone()).await.unwrap();
                    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
                    let feed = FeedOptions { listen: Some(connect.clone().into()), poll_every: POLL_EVERY };
                    let config = Config { lease_ttl: LEASE_TTL, rows_max: 40, feed, ..Config::default() };
                    let ready = Readiness::default();
                    let (_views, work) = projection_service::start(config, store, pool, &ready, Shutdown::new());
                    tokio::spawn(work);
                });
            };
            scope.spawn(start).join().unwrap();
        });
        Self { runtime: Some(runtime) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a single-threaded fold makes of the log up to a position.
pub fn expected(log: &[Arc<RecordedEvent>], upto: Position) -> Rows {
    fold_all(log.iter().take_while(|event| event.position <= upto).map(AsRef::as_ref)).unwrap()
}

/// The rows of a read model, by key.
pub fn of(rows: &Rows, model: Model) -> Vec<&RowChange> {
    rows.iter().filter(|((of, _), _)| *of == model).map(|(_, row)| row).collect()
}

/// Rows are the same in all that is told of them.
#[track_caller]
pub fn assert_same(actual: &[RowChange], expected: &[&RowChange], what: &str) {
    let keys = |rows: &[&RowChange]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&actual.iter().collect::<Vec<_>>()), keys(expected), "{what}");
    for (actual, expected) in actual.iter().zip(expected) {
        let told = |row: &RowChange| (row.partition, row.generation, row.position, row.removed, json(&row.row));
        assert_eq!(told(actual), told(expected), "{what}: {}", expected.key);
    }
}

pub fn json(row: &Row) -> serde_json::Value {
    serde_json::from_str(&row.to_json()).unwrap()
}
