//! By what a log is told from others.

use embedded_postgres::testing::TestDatabase;
use event_store::EventStore;
use uuid::Uuid;

use crate::support::{append, database, store, stream, write};

/// As a backup says it that was made before it was asked.
async fn asked_anew(database: &TestDatabase, store: &EventStore) -> Option<Uuid> {
    sqlx::query("DELETE FROM log_identity").execute(database.pool()).await.expect("it is there");
    store.identity().await.expect("it is known")
}

#[tokio::test]
async fn it_is_the_first_event_and_what_backups_have_where_that_is_archived() {
    let database = database().await;
    let store = store(&database).await;
    assert_eq!(store.identity().await.expect("asked"), None, "it has no event");

    store.append(append(vec![write(stream(), 0, 3)])).await.expect("appended");
    let first: Uuid = sqlx::query_scalar("SELECT event_id FROM events WHERE position = 1")
        .fetch_one(database.pool())
        .await
        .expect("an event");
    assert_eq!(store.identity().await.expect("asked"), Some(first));
    assert_eq!(asked_anew(&database, &store).await, Some(first));

    for (partition, byte) in [(0_i16, 1_u8), (1, 2)] {
        let sealed = sqlx::query("INSERT INTO log_digests (block, partition, events, digest) VALUES (0, $1, 1, $2)");
        sealed.bind(partition).bind(vec![byte; 32]).execute(database.pool()).await.expect("it is sealed");
    }
    sqlx::query("DELETE FROM events WHERE position = 1").execute(database.pool()).await.expect("it is gone");
    assert_eq!(store.identity().await.expect("asked"), Some(first), "it was written down");
    let made = asked_anew(&database, &store).await;
    assert!(made.is_some_and(|made| made != first), "{made:?}");
    assert_eq!(asked_anew(&database, &store).await, made);
}
