//! What was skipped stays skipped in a build that is made later.

use std::time::Duration;

use event_store::EventStore;
use projection_service::parked;
use projection_service::rebuild::Progress;
use read_models::testing::Network;
use read_models::{Folds, Rows, fold_all};
use schema::log::Position;
use schema::view::{Model, ViewStore};
use sqlx::postgres::PgPool;

use super::{build, rebuilder};
use crate::folds::{grow_refused, refusing};
use crate::poison::operator;
use crate::support::{Process, contained, empty, log, store_options, tables};

/// Skips whatever the sessions can't apply, until nothing of them is parked. Answers how many events that were.
async fn skip_all(pool: &PgPool, store: &EventStore, views: &ViewStore) -> usize {
    let mut skipped = 0;
    loop {
        let parked = parked::list(pool, Some(Model::Sessions), None, 1_000).await.unwrap();
        let mut at = Position::START;
        for key in parked.iter().filter(|key| key.live) {
            let (key, position) = (key.partition_key, key.position);
            at = parked::skip(pool, store, &operator(), Model::Sessions, key, position).await.unwrap();
            skipped += 1;
        }
        if at == Position::START {
            return skipped;
        }
        contained(views, at).await;
    }
}

#[tokio::test]
async fn a_later_build_goes_on_without_what_was_skipped() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let head = grow_refused(&store, &mut Network::new(21)).await;
    let _process = Process::start_with_folds(database.url(), "refusing", false, refusing());
    contained(&views, head).await;
    assert!(skip_all(pool, &store, &views).await > 2);

    let rebuilder = rebuilder(pool, refusing()).await;
    assert_eq!(build(&rebuilder, Model::Sessions).await, 0);
    assert_eq!(parked::list(pool, Some(Model::Sessions), None, 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_later_build_goes_on_without_what_was_skipped_even_if_its_fold_could_apply_it() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let head = grow_refused(&store, &mut Network::new(21)).await;
    let refusing = Process::start_with_folds(database.url(), "refusing", false, refusing());
    contained(&views, head).await;
    assert!(skip_all(pool, &store, &views).await > 2);
    drop(refusing);

    let _today = Process::start(database.url(), "today");
    let whole = fold_all(log(&store).await.iter().map(AsRef::as_ref)).unwrap();
    let live = tables(&views).await;
    let told = |rows: &Rows| {
        let sessions = rows.iter().filter(|((model, _), _)| *model == Model::Sessions);
        sessions.map(|((_, key), row)| (key.clone(), row.row.to_json())).collect::<Vec<_>>()
    };
    assert_ne!(told(&live), told(&whole), "it makes no difference that something was skipped");
    let rebuilder = rebuilder(pool, Folds::of_today()).await;
    assert_eq!(build(&rebuilder, Model::Sessions).await, 0);
}

#[tokio::test]
async fn what_is_skipped_while_a_build_is_made_is_skipped_in_it_too() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let head = grow_refused(&store, &mut Network::new(22)).await;
    let _process = Process::start_with_folds(database.url(), "refusing", false, refusing());
    contained(&views, head).await;

    // It has read everything, and is cut off before the workers know of it.
    let rebuilder = rebuilder(pool, refusing()).await;
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE views.runs IN SHARE MODE").execute(&mut *holding).await.unwrap();
    let building = {
        let rebuilder = rebuilder.clone();
        tokio::spawn(async move { rebuilder.build(Model::Sessions, &Progress::default()).await })
    };
    let read = "SELECT coalesce(min(position), 0) FROM views.build_progress";
    while sqlx::query_scalar::<_, i64>(read).fetch_one(pool).await.unwrap() < head.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    building.abort();
    assert!(building.await.unwrap_err().is_cancelled());
    holding.rollback().await.unwrap();
    let parked = parked::list(pool, Some(Model::Sessions), None, 1_000).await.unwrap();
    assert!(parked.iter().any(|key| !key.live));
    skip_all(pool, &store, &views).await;

    while let Err(error) = rebuilder.build(Model::Sessions, &Progress::default()).await {
        assert!(matches!(error, projection_service::rebuild::Error::Busy(_)), "{error}");
    }
    contained(&views, store.head().await.unwrap().0).await;
    assert_eq!(parked::list(pool, Some(Model::Sessions), None, 10).await.unwrap().len(), 0);
    assert_eq!(rebuilder.compare(Model::Sessions, 5).await.unwrap().differing(), 0);
}
