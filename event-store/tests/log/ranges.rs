use event_store::StoreOptions;
use schema::log::Position;
use sqlx::Row;

use crate::support::{append, assert_sound, database, store_with, stream, write};

/// Small ranges from the start.
async fn small_ranges(database: &embedded_postgres::testing::TestDatabase) {
    for statement in [
        "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1",
        "DROP TABLE events_ledger_10000001, events_operational_10000001, events_telemetry_10000001",
        "DELETE FROM log_ranges",
    ] {
        sqlx::query(statement).execute(database.pool()).await.expect("an empty log without ranges");
    }
}

#[tokio::test]
async fn a_log_that_outgrows_its_ranges_gets_new_ones() {
    let database = database().await;
    small_ranges(&database).await;
    let options = StoreOptions { range_positions: 10, ..StoreOptions::default() };
    let store = store_with(&database, options).await;
    let one = stream();
    // Flushes of 7 events, across the edges and far beyond what was made ahead.
    for n in 0..20 {
        store.append(append(vec![write(one, n * 7, 7)])).await.expect("appended");
    }
    assert_sound(&database).await;
    let read = store.read_stream(one, 1).await.expect("read");
    assert_eq!(read.len(), 140);
    let stretch = store.read(Position(35), 40, event_store::PartitionSet::ALL).await.expect("read");
    assert_eq!((stretch.events.len(), stretch.upto), (40, Position(75)));
    let ranges = sqlx::query("SELECT count(*) FROM log_ranges").fetch_one(database.pool()).await;
    assert!(ranges.expect("a count").get::<i64, _>(0) >= 14);
}

/// Making a range waits for nobody who reads, and nobody who reads waits for it.
#[tokio::test]
async fn ranges_are_made_beside_open_readers() {
    let database = database().await;
    let store = store_with(&database, StoreOptions::default()).await;
    store.append(append(vec![write(stream(), 0, 1)])).await.expect("appended");
    let mut reader = database.pool().begin().await.expect("a transaction");
    sqlx::query("SELECT count(*) FROM events").execute(&mut *reader).await.expect("read");
    let made = sqlx::query("SELECT log_make_ranges(100, 5)").fetch_one(database.pool()).await;
    assert_eq!(made.expect("made").get::<i32, _>(0), 4);
    reader.commit().await.expect("committed");
}
