//! The read models of a log that nobody has folded yet.

use std::sync::Mutex;

use event_store::EventStore;
use projection_service::parked;
use projection_service::rebuild::Error;
use projection_service::verify::verify;
use read_models::Folds;
use read_models::testing::{Network, fold_log};
use schema::view::{Model, ViewStore};

use super::rebuilder;
use crate::folds::{grow_refused, refusing};
use crate::poison::assert_as_folded;
use crate::support::{Process, assert_tables_are_the_fold, contained, empty, fill, grow, log, store_options};

#[tokio::test]
async fn what_is_filled_is_what_workers_make_and_they_go_on_from_there() {
    let seed = 31;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(seed);
    grow(&store, &mut network, 300).await;
    // More than a block of positions, so that there is something to prove.
    fill(pool, 70_000).await;
    let head = grow(&store, &mut network, 300).await;

    let rebuilder = rebuilder(pool, Folds::of_today()).await;
    let made = Mutex::new(vec![]);
    rebuilder.fill(head, |model, _| made.lock().unwrap().push(model)).await.unwrap();
    assert_eq!(*made.lock().unwrap(), Model::ALL);
    assert_tables_are_the_fold(&store, &views, seed).await;
    assert_eq!(views.reached().await.unwrap().position, head);

    let _process = Process::start(database.url(), "worker");
    let head = grow(&store, &mut network, 200).await;
    contained(&views, head).await;
    assert_tables_are_the_fold(&store, &views, seed).await;
    store.seal_digests().await.unwrap();
    let proof = verify(pool, None, |_| {}).await.unwrap();
    assert_eq!((proof.findings, proof.position, proof.events), (vec![], head, head.0));
    let refused = rebuilder.fill(head, |_, _| {}).await.unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
}

#[tokio::test]
async fn a_key_that_can_not_be_filled_is_parked() {
    let seed = 32;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let head = grow_refused(&store, &mut Network::new(seed)).await;
    rebuilder(pool, refusing()).await.fill(head, |_, _| {}).await.unwrap();
    let folded = fold_log(&refusing(), &log(&store).await);
    assert!(!parked::list(pool, None, None, 10).await.unwrap().is_empty());
    assert_as_folded(pool, &store, &folded, seed).await;
}
