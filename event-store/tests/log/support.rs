//! What the tests share: a database of their own, and tokens, the smallest of the aggregates, to write about.

use std::sync::Arc;
use std::time::Duration;

use domain::envelope::{Actor, Envelope};
use domain::event::{AggregateType, Event};
use domain::id::{Sealed, TenantId, TokenId};
use domain::token::{TokenDetails, TokenEvent};
use embedded_postgres::testing::{self, TestDatabase};
use event_store::{Append, CommandKey, EventStore, Expected, StoreOptions, Write};
use schema::log::{NewEvent, StreamId};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// Far longer than anything takes: a test that hangs fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub async fn database() -> TestDatabase {
    testing::database(&schema::MIGRATOR).await
}

pub async fn store(database: &TestDatabase) -> EventStore {
    store_with(database, StoreOptions::default()).await
}

pub async fn store_with(database: &TestDatabase, options: StoreOptions) -> EventStore {
    EventStore::connect(database.pool().clone(), options).await.expect("a store")
}

pub fn stream() -> StreamId {
    StreamId { aggregate: AggregateType::Token, id: Uuid::now_v7() }
}

pub fn envelope() -> Arc<Envelope> {
    Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")))
}

pub fn details(id: Uuid) -> TokenDetails {
    TokenDetails {
        token_id: TokenId(id),
        kind: "ISO14443".into(),
        value: Sealed("sealed".into()),
        driver_id: None,
        group: None,
        expires_at: None,
    }
}

/// `count` events for a stream: registered, then blocked and unblocked in turn, of which the first has number `from`.
pub fn events(stream: StreamId, from: i64, count: i64) -> Vec<NewEvent> {
    let event = |sequence| match sequence {
        1 => TokenEvent::TokenRegistered(details(stream.id)),
        even if even % 2 == 0 => TokenEvent::TokenBlocked {},
        _ => TokenEvent::TokenUnblocked {},
    };
    (from..from + count).map(|n| NewEvent::new(Event::Token(event(n)), envelope(), stream.id)).collect()
}

/// A write that expects to be the next after `version`.
pub fn write(stream: StreamId, version: i64, count: i64) -> Write {
    let expected = Expected::version(version);
    Write { stream, expected, events: events(stream, version + 1, count), fence: None }
}

pub fn append(writes: Vec<Write>) -> Append {
    Append { writes, guards: vec![], key: None }
}

pub fn key(key: &str, body: u8) -> CommandKey {
    CommandKey {
        scope: "test".into(),
        key: key.into(),
        body_hash: [body; 32],
        answer: json!({ "body": body }),
        expires_at: None,
    }
}

/// What must hold of every log, whatever was done to it: positions dense from 1 and in the order of time, sequences dense
/// in each stream, streams as their events say.
pub async fn assert_sound(database: &TestDatabase) {
    assert_sound_at(database.pool()).await;
}

pub async fn assert_sound_at(pool: &sqlx::PgPool) {
    let broken = sqlx::query(include_str!("sound.sql")).fetch_all(pool).await.expect("the checks run");
    let broken: Vec<String> = broken.iter().map(|row| row.get(0)).collect();
    assert!(broken.is_empty(), "the log is broken: {broken:?}");
}

pub async fn event_count(database: &TestDatabase) -> i64 {
    sqlx::query("SELECT count(*) FROM events").fetch_one(database.pool()).await.expect("a count").get(0)
}
