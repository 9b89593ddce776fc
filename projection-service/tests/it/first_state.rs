//! A database in the state that the first programs left behind becomes one of today, with all that is in it.

use std::sync::Arc;

use domain::envelope::{Actor, Envelope};
use domain::event::{AggregateType, Event};
use domain::id::TenantId;
use domain::token::TokenEvent;
use embedded_postgres::testing::{TestDatabase, database};
use event_store::{Append, EventStore, Expected, Write};
use projection_service::verify::verify;
use read_models::fold_all;
use read_models::testing::Network;
use schema::digest::payload_hash;
use schema::log::{NewEvent, Position, StreamId};
use schema::view::ViewStore;
use sqlx::Row;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::support::{
    Process, assert_same, assert_tables_are_the_fold, contained, empty, grow, log, store_options, tables,
};

/// The last migration of the first state.
const LAST_OF_FIRST_STATE: i64 = 300;

/// As it was found.
async fn first_state() -> TestDatabase {
    let database = database(&Migrator::DEFAULT).await;
    // A connection of its own: the dump changes its settings.
    let mut connection = database.pool().acquire().await.unwrap().detach();
    // The dump brings its own, with what was applied.
    sqlx::raw_sql("DROP TABLE IF EXISTS _sqlx_migrations").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(include_str!("first_state/database.sql")).execute(&mut connection).await.unwrap();
    database
}

async fn scalar(pool: &PgPool, query: &str) -> i64 {
    sqlx::query(query).fetch_one(pool).await.unwrap().get(0)
}

async fn lines(pool: &PgPool, query: &str) -> Vec<String> {
    sqlx::query(query).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What is defined in it, a line each.
async fn definitions(pool: &PgPool) -> Vec<String> {
    // As many ranges in each: how many there are depends on where the head is.
    sqlx::query("SELECT log_make_ranges(10000000, 3 - (head.position > 0)::int) FROM log_head head")
        .execute(pool)
        .await
        .unwrap();
    lines(pool, include_str!("first_state/definitions.sql")).await
}

#[tokio::test]
async fn its_schema_becomes_that_of_a_new_database() {
    let (old, new) = (first_state().await, empty().await);
    assert_ne!(definitions(old.pool()).await, definitions(new.pool()).await);
    // Also says that what the first state was made by is still as it was then: by the checksums in the dump.
    schema::MIGRATOR.run(old.pool()).await.unwrap();
    let (old, new) = (definitions(old.pool()).await, definitions(new.pool()).await);
    assert!(new.len() > 500, "{}", new.len());
    let of_one: Vec<_> = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}")).collect();
    let of_other: Vec<_> = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}")).collect();
    assert!(
        of_one.is_empty() && of_other.is_empty(),
        "a migrated database (-) differs from a new one (+):\n{}\n{}",
        of_one.join("\n"),
        of_other.join("\n")
    );
    assert_eq!(old, new);
}

#[tokio::test]
async fn its_events_are_read_hashed_and_continued() {
    let database = first_state().await;
    let pool = database.pool();
    assert_eq!(scalar(pool, "SELECT max(version) FROM _sqlx_migrations").await, LAST_OF_FIRST_STATE);
    let head = Position(scalar(pool, "SELECT position FROM log_head").await);
    assert!(head > Position(200), "{head}");
    let payloads = "SELECT payload::text FROM events ORDER BY position";
    let before = lines(pool, payloads).await;

    schema::MIGRATOR.run(pool).await.unwrap();
    // Again: there is nothing to do.
    schema::MIGRATOR.run(pool).await.unwrap();
    assert_eq!(lines(pool, payloads).await, before);
    assert_eq!(lines(pool, include_str!("../../../event-store/tests/log/sound.sql")).await, Vec::<String>::new());

    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let events = log(&store).await;
    assert_eq!(events.len(), before.len());
    for (event, payload) in events.iter().zip(&before) {
        assert_eq!(event.payload_hash, payload_hash(payload), "at {}", event.position);
        assert!(event.event.is_ok(), "at {}: {:?}", event.position, event.event);
    }
    // What the workers of then had written is what is folded now. They were killed before they had read all.
    let upto = views.reached().await.unwrap().position;
    assert!(upto > Position(200) && upto < head, "{upto} of {head}");
    let read = events.iter().map(AsRef::as_ref).filter(|event| event.position <= upto);
    assert_same(&tables(&views).await, &fold_all(read).unwrap(), 0);

    continue_a_stream(&store, pool).await;
    assert!(store.lookup(&key(pool, "scope").await, &key(pool, "key").await).await.unwrap().is_some());

    let process = Process::start(database.url(), "today");
    let head = grow(&store, &mut Network::new(7), 60).await;
    contained(&views, head).await;
    assert_tables_are_the_fold(&store, &views, 7).await;
    drop(process);
    assert_eq!(lines(pool, include_str!("../../../event-store/tests/log/sound.sql")).await, Vec::<String>::new());
    let report = verify(pool, None, |_| {}).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

async fn key(pool: &PgPool, column: &str) -> String {
    let query = format!("SELECT {column} FROM commands ORDER BY scope, key LIMIT 1");
    sqlx::query(&query).fetch_one(pool).await.unwrap().get(0)
}

/// A stream of the first state goes on at its version, and at no other.
async fn continue_a_stream(store: &EventStore, pool: &PgPool) {
    let found = sqlx::query("SELECT id, version, last_position FROM streams WHERE type = 'Token' ORDER BY id LIMIT 1")
        .fetch_one(pool)
        .await
        .unwrap();
    let (id, version): (Uuid, i64) = (found.get("id"), found.get("version"));
    let stream = StreamId { aggregate: AggregateType::Token, id };
    let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")));
    let blocked_at = async |version| {
        let event = NewEvent::new(Event::Token(TokenEvent::TokenBlocked {}), envelope.clone(), id);
        let write = Write { stream, expected: Expected::version(version), events: vec![event], fence: None };
        store.append(Append { writes: vec![write], guards: vec![], key: None }).await
    };
    assert!(blocked_at(version + 1).await.unwrap_err().is_conflict());
    let appended = blocked_at(version).await.unwrap();
    let history = store.read_stream(stream, 1).await.unwrap();
    assert_eq!(history.last().unwrap().position, appended.position());
    assert_eq!(history.len() as i64, version + 1);
}
