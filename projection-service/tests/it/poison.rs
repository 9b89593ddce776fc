//! An event that can't be applied stops its key, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use event_store::EventStore;
use projection_service::parked::{self, Operator, ParkedKey};
use read_models::testing::{FoldedLog, Network, fold_log};
use read_models::{Fact, Folds, fold_all};
use schema::log::Position;
use schema::view::{Model, Row, ViewStore};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::folds::{grow_refused, refuses, refusing};
use crate::support::{Process, assert_same, contained, empty, grow, log, store_options, tables};

pub fn operator() -> Operator {
    Operator { name: "test".to_owned(), reason: Some("it was mended".to_owned()) }
}

/// What is parked is what a single-threaded fold parks, and so are the rows: of the builds that serve.
pub async fn assert_as_folded(pool: &PgPool, store: &EventStore, folded: &FoldedLog, seed: u64) {
    assert_parked(pool, store, folded, true, seed).await;
    assert_same(&tables(&ViewStore::new(pool.clone())).await, &folded.rows, seed);
}

/// The same of the build of the sessions that has joined.
pub async fn assert_shadow_as_folded(pool: &PgPool, store: &EventStore, mut folded: FoldedLog, seed: u64) {
    folded.parked.retain(|(model, _), _| *model == Model::Sessions);
    folded.rows.retain(|(model, _), _| *model == Model::Sessions);
    assert_parked(pool, store, &folded, false, seed).await;
    let rows: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT key, position, row::text FROM shadow.sessions").fetch_all(pool).await.unwrap();
    let found: BTreeMap<String, (i64, String)> = rows
        .into_iter()
        .map(|(key, position, row)| (key, (position, Row::from_json(Model::Sessions, &row).unwrap().to_json())))
        .collect();
    let expected = folded.rows.iter().map(|((_, key), row)| (key.clone(), (row.position.0, row.row.to_json())));
    assert_eq!(found, expected.collect(), "seed {seed}");
}

async fn assert_parked(pool: &PgPool, store: &EventStore, folded: &FoldedLog, live: bool, seed: u64) {
    let keys = parked::list(pool, None, None, 1_000_000).await.unwrap();
    let found: BTreeMap<(Model, Uuid), &ParkedKey> =
        keys.iter().filter(|key| key.live == live).map(|key| ((key.model, key.partition_key), key)).collect();
    let slots: Vec<_> = folded.parked.keys().collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), slots, "seed {seed}");
    for (slot, expected) in &folded.parked {
        assert_eq!(found[slot].position, expected.position, "seed {seed}: {slot:?}");
        let waiting = parked::waiting(pool, store, found[slot], 1_000_000).await.unwrap();
        let waiting: Vec<Position> = waiting.iter().map(|event| event.position).collect();
        assert_eq!(waiting, expected.waiting, "seed {seed}: {slot:?}");
    }
}

async fn set_version(pool: &PgPool, position: Position, version: &str) {
    sqlx::query("UPDATE events SET event_version = $2 WHERE position = $1")
        .bind(position.0)
        .bind(version)
        .execute(pool)
        .await
        .unwrap();
}

/// Rows have the content that they would have had without the trouble, whatever their positions.
pub async fn assert_content(pool: &PgPool, store: &EventStore) {
    let expected = fold_all(log(store).await.iter().map(AsRef::as_ref)).unwrap();
    let found = tables(&ViewStore::new(pool.clone())).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (slot, row) in &expected {
        assert_eq!(found[slot].row.to_json(), row.row.to_json(), "{slot:?}");
    }
}

#[tokio::test]
async fn an_event_that_is_not_understood_parks_its_key_and_is_applied_when_it_is() {
    let seed = 7;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(seed);
    let head = grow(&store, &mut network, 300).await;
    let poisonous = log(&store).await;
    let poisonous = poisonous.iter().filter(|event| event.event_type == "MeterValuesRecorded").nth(1).unwrap();
    let (poisonous, key) = (poisonous.position, poisonous.partition_key);
    set_version(pool, poisonous, "77").await;

    let process = Process::start(database.url(), "worker");
    contained(&views, head).await;
    let folded = fold_log(&Folds::of_today(), &log(&store).await);
    assert!(folded.parked.contains_key(&(Model::Sessions, key)));
    assert!(folded.parked.contains_key(&(Model::MeterValues, key)));
    // What it can't matter to goes on.
    assert!(!folded.parked.contains_key(&(Model::ChargePoints, key)));
    assert_as_folded(pool, &store, &folded, seed).await;
    let [sessions] = &parked::list(pool, Some(Model::Sessions), None, 10).await.unwrap()[..] else { panic!() };
    assert_eq!(sessions.event_type, "MeterValuesRecorded");
    assert!(sessions.error.contains("MeterValuesRecorded was stored in version 77"), "{}", sessions.error);
    // It is ready, and says what is wrong.
    assert!(process.readiness.not_ready().await.is_empty());
    while !process.readiness.degraded().contains_key("parked") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Released while it can't be applied: it stands still as before.
    let at = parked::release(pool, &store, &operator(), Model::Sessions, key).await.unwrap();
    contained(&views, at).await;
    assert_as_folded(pool, &store, &fold_log(&Folds::of_today(), &log(&store).await), seed).await;

    // It is killed with the key parked, and the next one goes on with what comes.
    drop(process);
    let process = Process::start(database.url(), "worker");
    let head = grow(&store, &mut network, 200).await;
    contained(&views, head).await;
    assert_as_folded(pool, &store, &fold_log(&Folds::of_today(), &log(&store).await), seed).await;

    set_version(pool, poisonous, "1").await;
    let trial = parked::try_release(pool, &store, &Folds::of_today(), (Model::Sessions, key), None).await.unwrap();
    let waiting = parked::list(pool, Some(Model::Sessions), Some(key), 10).await.unwrap()[0].waiting;
    assert_eq!((trial[0].applied as i64, &trial[0].stops_at), (waiting, &None));
    let dropped = parked::list(pool, None, Some(key), 100).await.unwrap();
    // Killed with the releases on their way.
    drop(process);
    let mut at = Position::START;
    for parked_key in dropped {
        at = parked::release(pool, &store, &operator(), parked_key.model, key).await.unwrap();
    }
    let process = Process::start(database.url(), "worker");
    contained(&views, at).await;
    assert_eq!(parked::list(pool, None, None, 10).await.unwrap().len(), 0);
    assert_content(pool, &store).await;
    // The rows that waited have the position of the release.
    for row in &trial[0].rows {
        let found = views.get(Model::Sessions, &row.key).await.unwrap().rows.unwrap();
        assert!(found.position > head, "{} at {}", row.key, found.position);
        assert_eq!(found.row.to_json(), row.row.to_json());
    }
    while !process.readiness.degraded().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_one_program_refuses_another_applies() {
    let seed = 8;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(seed);
    let head = grow_refused(&store, &mut network).await;
    let process = Process::start_with_folds(database.url(), "refusing", false, refusing());
    contained(&views, head).await;
    let folded = fold_log(&refusing(), &log(&store).await);
    assert!(!folded.parked.is_empty());
    assert_as_folded(pool, &store, &folded, seed).await;
    drop(process);

    for (model, key) in folded.parked.keys() {
        for trial in parked::try_release(pool, &store, &refusing(), (*model, *key), None).await.unwrap() {
            assert_eq!(trial.stops_at.unwrap().0, folded.parked[&(*model, *key)].position);
        }
        for trial in parked::try_release(pool, &store, &Folds::of_today(), (*model, *key), None).await.unwrap() {
            assert_eq!(trial.stops_at, None);
        }
    }
    // Nothing of that was written.
    assert_as_folded(pool, &store, &folded, seed).await;
    let _mended = Process::start(database.url(), "mended");
    let mut at = head;
    for (model, key) in folded.parked.keys() {
        at = parked::release(pool, &store, &operator(), *model, *key).await.unwrap();
    }
    contained(&views, at).await;
    assert_eq!(parked::list(pool, None, None, 10).await.unwrap().len(), 0);
    assert_content(pool, &store).await;
}

#[tokio::test]
async fn an_event_that_is_skipped_is_left_out() {
    let seed = 9;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(seed);
    let head = grow_refused(&store, &mut network).await;
    let _process = Process::start_with_folds(database.url(), "refusing", true, refusing());
    contained(&views, head).await;
    let folded = fold_log(&refusing(), &log(&store).await);
    let ((model, key), parked_key) = folded.parked.iter().find(|(_, parked)| !parked.waiting.is_empty()).unwrap();
    let elsewhere = Position(head.0 + 1_000);
    let refused = parked::skip(pool, &store, &operator(), *model, *key, elsewhere).await.unwrap_err();
    assert!(refused.to_string().contains("no event of"), "{refused}");
    // One that waits behind it, and then itself.
    for position in [*parked_key.waiting.last().unwrap(), parked_key.position] {
        if !parked::list(pool, Some(*model), Some(*key), 1).await.unwrap().is_empty() {
            let at = parked::skip(pool, &store, &operator(), *model, *key, position).await;
            contained(&views, at.unwrap()).await;
        }
    }
    let again = fold_log(&refusing(), &log(&store).await);
    assert_ne!(again.parked.get(&(*model, *key)), Some(parked_key));
    assert_as_folded(pool, &store, &again, seed).await;
    let skipped = log(&store).await;
    let skipped = skipped.last().unwrap();
    assert_eq!((skipped.event_type.as_str(), skipped.partition_key), ("ParkedEventSkipped", *key));
    assert_eq!(skipped.envelope.reason.as_deref(), Some("it was mended"));
    assert!(log(&store).await.iter().filter_map(|event| Fact::of(event).ok()).any(|fact| refuses(&fact)));
}

#[tokio::test]
async fn a_program_without_the_fold_of_a_build_takes_nothing_and_says_so() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    grow(&store, &mut Network::new(4), 20).await;
    sqlx::query("UPDATE views.builds SET fold_version = 9 WHERE model = 'sites'").execute(pool).await.unwrap();
    let process = Process::start(database.url(), "too old");
    let said = loop {
        if let Some(why) = process.readiness.not_ready().await.remove("projections")
            && why.0.contains("sites")
        {
            break why.0;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(said.contains("build 1 of sites") && said.contains("no fold of version 9, only of [1]"), "{said}");
    let reached = ViewStore::new(pool.clone()).reached().await.unwrap();
    assert_eq!(reached.position, Position::START);
}
