//! A log of small ranges with read models, and ranges of it that are written to a folder and taken out of the log.

use std::sync::Arc;
use std::time::Duration;

use archive::writer::RangeWriter;
use archive::{Location, Reader};
use domain::envelope::Retention;
use embedded_postgres::testing::{TestDatabase, database};
use event_store::stored::Filter;
use event_store::{Append, EventStore, Expected, StoreOptions, Write};
use projection_service::Config;
use read_models::testing::{Network, Written};
use schema::log::Position;
use schema::stored::StoredEvent;
use schema::view::{FeedOptions, ViewStore};
use service_host::{Readiness, Shutdown};
use tempfile::TempDir;

const POLL_EVERY: Duration = Duration::from_millis(20);
/// Only a test that hangs waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Positions of a range of the log, and between those that rows are kept of.
pub const RANGE: i64 = 200;
const KEPT_EVERY: i64 = 70;

pub struct World {
    pub database: TestDatabase,
    pub store: EventStore,
    pub views: ViewStore,
    pub folder: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let database = database(&schema::MIGRATOR).await;
        for statement in [
            "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1",
            "DROP TABLE events_ledger_10000001, events_operational_10000001, events_telemetry_10000001",
            "DELETE FROM log_ranges",
        ] {
            sqlx::query(statement).execute(database.pool()).await.expect("an empty log without ranges");
        }
        let store = connect(&database, StoreOptions::default()).await;
        let views = ViewStore::new(database.pool().clone());
        let keep = sqlx::query("SELECT history.keep_every($1)").bind(KEPT_EVERY);
        keep.execute(database.pool()).await.expect("rows are kept");
        Self { database, store, views, folder: TempDir::new().expect("a folder") }
    }

    /// Another handle of the log, that knows of no detached range yet.
    pub async fn with_reader(&self) -> EventStore {
        let archive = Some(Arc::new(Reader::default()) as _);
        connect(&self.database, StoreOptions { archive, ..StoreOptions::default() }).await
    }

    pub async fn without_reader(&self) -> EventStore {
        connect(&self.database, StoreOptions::default()).await
    }

    /// Appends what happens in so many steps, and folds it. Answers where the log ends.
    pub async fn grow(&self, network: &mut Network, steps: usize) -> Position {
        let feed = FeedOptions { poll_every: POLL_EVERY, ..FeedOptions::default() };
        let config = Config { rows_max: 40, feed, ..Config::default() };
        let (shutdown, ready) = (Shutdown::new(), Readiness::default());
        let pool = self.database.pool().clone();
        let (_views, work) = projection_service::start(config, self.store.clone(), pool, &ready, shutdown.clone());
        let work = tokio::spawn(work);
        let mut head = Position::START;
        for _ in 0..steps {
            head = append(&self.store, network.step()).await;
        }
        let contained = async {
            while self.views.reached().await.expect("read").position < head {
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, contained).await.expect("the read models contain everything");
        shutdown.begin();
        work.await.expect("it ended").expect("it ended well");
        head
    }

    /// Writes a range to the folder, and takes it out of the log.
    pub async fn detach(&self, class: Retention, first: i64) {
        let (start, last) = (Position(first), Position(first + RANGE - 1));
        let place = Location::parse(self.folder.path().to_str().expect("a path")).expect("a place");
        let place = place.folder(&archive::manifest::folder(class, first, last.0));
        let mut writer = RangeWriter::open(place.clone(), class, (start, last), None).await.expect("a range");
        let reader = self.with_reader().await;
        let look = reader.look(Position(first - 1), last, &Filter::default()).await.expect("looked");
        let events: Vec<StoredEvent> = look.events.into_iter().filter(|of| of.retention == class.code()).collect();
        let mut part = writer.part(start, last);
        for event in events {
            part.push(event).await.expect("pushed");
        }
        writer.finish_part(part).await.expect("finished");
        let (manifest, sha256) = writer.finish().await.expect("finished");
        let noted = "INSERT INTO log_archives (retention, first, last, url, manifest_sha256, events, bytes, verified_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, now())";
        sqlx::query(noted)
            .bind(class.code())
            .bind(first)
            .bind(last.0)
            .bind(place.url())
            .bind(sha256.to_vec())
            .bind(manifest.events as i64)
            .bind(manifest.bytes() as i64)
            .execute(self.database.pool())
            .await
            .expect("noted");
        let detached = sqlx::query_scalar::<_, bool>("SELECT log_detach_range($1, $2)").bind(class.code()).bind(first);
        assert!(detached.fetch_one(self.database.pool()).await.expect("detached"));
    }
}

async fn connect(database: &TestDatabase, options: StoreOptions) -> EventStore {
    let options = StoreOptions { range_positions: RANGE, poll_every: POLL_EVERY, ..options };
    EventStore::connect(database.pool().clone(), options).await.expect("a store")
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
