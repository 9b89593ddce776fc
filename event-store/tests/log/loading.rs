use domain::token::Token;
use event_store::{StoreOptions, stream_of};
use schema::log::StreamId;
use sqlx::Row;
use uuid::Uuid;

use crate::support::{append, database, store, store_with, write};

fn token() -> StreamId {
    stream_of::<Token>(Uuid::now_v7())
}

#[tokio::test]
async fn a_load_is_fresh_and_the_cache_is_not() {
    let database = database().await;
    let (here, elsewhere) = (store(&database).await, store(&database).await);
    let one = token();
    assert_eq!(here.load::<Token>(one.id).await.expect("loaded").version, 0);
    elsewhere.append(append(vec![write(one, 0, 2)])).await.expect("appended");
    let cached = here.load_cached::<Token>(one.id).await.expect("loaded");
    let fresh = here.load::<Token>(one.id).await.expect("loaded");
    assert_eq!((cached.version, cached.state.blocked), (0, false));
    assert_eq!((fresh.version, fresh.state.blocked), (2, true));
    assert_eq!(here.load_cached::<Token>(one.id).await.expect("loaded").version, 2);
    elsewhere.append(append(vec![write(one, 2, 1)])).await.expect("appended");
    let fresh = here.load::<Token>(one.id).await.expect("loaded");
    assert_eq!((fresh.version, fresh.state.blocked), (3, false));
}

#[tokio::test]
async fn a_stored_state_stands_for_the_events_before_it() {
    let database = database().await;
    let options = StoreOptions { store_state_every_events: 10, ..StoreOptions::default() };
    let writer = store_with(&database, options.clone()).await;
    let one = token();
    for n in 0..30 {
        writer.append(append(vec![write(one, n * 100, 100)])).await.expect("appended");
    }
    // Several pages from the start; then the state is stored, beside the way.
    assert_eq!(writer.load::<Token>(one.id).await.expect("loaded").version, 3_000);
    let stored = || async {
        let row = sqlx::query("SELECT version FROM aggregate_states").fetch_optional(database.pool()).await;
        row.expect("asked").map(|row| row.get::<i64, _>(0))
    };
    while stored().await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored().await, Some(3_000));

    // It is used: this one says what no event said.
    let forge = |fold: i32| {
        sqlx::query("UPDATE aggregate_states SET state = '{\"details\":null,\"blocked\":true}', fold_version = $1")
            .bind(fold)
    };
    forge(1).execute(database.pool()).await.expect("forged");
    let reader = store_with(&database, options.clone()).await;
    let loaded = reader.load::<Token>(one.id).await.expect("loaded");
    assert_eq!((loaded.version, loaded.state.details.is_none()), (3_000, true));
    // One of another fold is not.
    forge(99).execute(database.pool()).await.expect("forged");
    let reader = store_with(&database, options).await;
    let loaded = reader.load::<Token>(one.id).await.expect("loaded");
    assert_eq!((loaded.version, loaded.state.details.is_none()), (3_000, false));
}

/// After a restore that lost a tail, what the cache holds never happened.
#[tokio::test]
async fn a_state_above_its_stream_is_thrown_away() {
    let database = database().await;
    let store = store(&database).await;
    let one = token();
    store.append(append(vec![write(one, 0, 2)])).await.expect("appended");
    assert!(store.load::<Token>(one.id).await.expect("loaded").state.blocked);
    for statement in ["DELETE FROM events WHERE sequence = 2", "UPDATE streams SET version = 1"] {
        sqlx::query(statement).execute(database.pool()).await.expect("a lost tail");
    }
    let loaded = store.load::<Token>(one.id).await.expect("loaded");
    assert_eq!((loaded.version, loaded.state.blocked), (1, false));
}
