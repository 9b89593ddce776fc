//! What is written down of archives is written down by one run at a time, of what the log has.

use std::time::Duration;

use domain::envelope::Retention;
use embedded_postgres::testing::TestDatabase;
use event_store::archiving::{Detached, RecordError, Recorded};
use event_store::leases::Lease;
use event_store::{EventStore, StoreOptions};
use schema::log::Position;
use uuid::Uuid;

use crate::support::{database, store_with};

const CLASS: Retention = Retention::Telemetry;
const SPAN: (Position, Position) = (Position(1), Position(100));
const SHA256: [u8; 32] = [7; 32];

async fn small_ranges(database: &TestDatabase) -> EventStore {
    for statement in [
        "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1",
        "DROP TABLE events_ledger_10000001, events_operational_10000001, events_telemetry_10000001",
        "DELETE FROM log_ranges",
    ] {
        sqlx::query(statement).execute(database.pool()).await.expect("an empty log without ranges");
    }
    store_with(database, StoreOptions { range_positions: 100, ..StoreOptions::default() }).await
}

async fn lease(store: &EventStore, ttl: Duration) -> Lease {
    let taken = store.acquire_lease("events-archive", 0, Uuid::now_v7(), ttl).await.expect("asked");
    taken.expect("it is free, or lapsed")
}

fn archive(url: &str) -> Recorded<'_> {
    Recorded { url, manifest_sha256: &SHA256, events: 3, bytes: 30 }
}

/// What the database knows of archives, as text.
async fn known(database: &TestDatabase) -> Vec<String> {
    let known = "SELECT a::text FROM log_archives a UNION ALL SELECT f::text FROM log_archive_folders f ORDER BY 1";
    sqlx::query_scalar(known).fetch_all(database.pool()).await.expect("asked")
}

#[tokio::test]
async fn a_frozen_run_that_wakes_writes_nothing_down() {
    let database = database().await;
    let store = small_ranges(&database).await;
    let frozen = lease(&store, Duration::ZERO).await;
    let begun = store.begin_folder(&frozen, CLASS, SPAN, ("place/", "place/a"), false).await.expect("begun");
    assert_eq!((begun.url.as_str(), begun.done), ("place/a", None));
    store.note_done(&frozen, "place/a", "[1]").await.expect("noted");

    let owner = lease(&store, Duration::from_secs(60)).await;
    let lost = |result: Result<(), RecordError>| assert!(matches!(result, Err(RecordError::Lost)), "{result:?}");
    // Wherever the other one is with it.
    for step in 0..4 {
        match step {
            0 => {
                let goes_on = store.begin_folder(&owner, CLASS, SPAN, ("place/", "place/b"), false).await;
                let goes_on = goes_on.expect("begun");
                assert_eq!((goes_on.url.as_str(), goes_on.done.as_deref()), ("place/a", Some("[1]")));
            }
            1 => store.record_archive(&owner, CLASS, SPAN, &archive("place/a")).await.expect("recorded"),
            2 => assert!(store.record_verified(&owner, CLASS, SPAN.0, &SHA256, true).await.expect("noted")),
            _ => {}
        }
        let before = known(&database).await;
        lost(store.assert_lease(&frozen).await);
        let begun = store.begin_folder(&frozen, CLASS, SPAN, ("place/", "place/c"), true).await;
        lost(begun.map(|_| ()));
        lost(store.note_done(&frozen, "place/a", "[2]").await);
        lost(store.record_archive(&frozen, CLASS, SPAN, &archive("place/a")).await);
        lost(store.record_verified(&frozen, CLASS, SPAN.0, &SHA256, false).await.map(|_| ()));
        if step > 0 {
            lost(store.detach_range(&frozen, CLASS, SPAN.0).await.map(|_| ()));
        }
        assert_eq!(known(&database).await, before, "step {step}");
    }
    assert!(store.archive_leftovers(CLASS).await.expect("asked").is_empty());
    assert_eq!(store.detach_range(&owner, CLASS, SPAN.0).await.expect("detached"), Detached::Now);
    assert_eq!(store.detach_range(&owner, CLASS, SPAN.0).await.expect("detached"), Detached::Before);
}

#[tokio::test]
async fn the_archive_of_what_has_gone_stays_what_it_is() {
    let database = database().await;
    let store = small_ranges(&database).await;
    let owner = lease(&store, Duration::from_secs(60)).await;
    let begin = async |new: &'static str, again| {
        store.begin_folder(&owner, CLASS, SPAN, ("place/", new), again).await.expect("begun").url
    };
    assert_eq!(begin("place/a", false).await, "place/a");
    store.record_archive(&owner, CLASS, SPAN, &archive("place/a")).await.expect("recorded");
    // Written anew as long as the log has it, elsewhere.
    assert_eq!(begin("place/b", false).await, "place/b");
    assert_eq!(begin("place/c", true).await, "place/c");
    store.record_archive(&owner, CLASS, SPAN, &archive("place/c")).await.expect("recorded");
    let left = store.archive_leftovers(CLASS).await.expect("asked");
    let left: Vec<_> = left.iter().map(|of| (of.url.as_str(), of.unfinished)).collect();
    assert_eq!(left, [("place/a", false), ("place/b", false)]);

    assert_eq!(begin("place/d", false).await, "place/d");
    sqlx::query("DROP TABLE events_telemetry_1").execute(database.pool()).await.expect("dropped by hand");
    let before = known(&database).await;
    let refused = store.record_archive(&owner, CLASS, SPAN, &archive("place/d")).await;
    assert!(matches!(refused, Err(RecordError::NotInLog { .. })), "{refused:?}");
    assert_eq!(known(&database).await, before);
    // Another place: what was begun in the first is left.
    let elsewhere = store.begin_folder(&owner, CLASS, SPAN, ("other/", "other/e"), false).await.expect("begun");
    assert_eq!(elsewhere.url, "other/e");
    let left = store.archive_leftovers(CLASS).await.expect("asked");
    assert!(left.iter().any(|of| of.url == "place/d" && !of.unfinished), "{left:?}");
}
