//! Two builds take each other's place while the log grows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::Event;
use domain::envelope::{Actor, Envelope};
use domain::id::TenantId;
use domain::read_model::{ReadModel, ReadModelCommand, ReadModelEvent};
use event_store::{EventStore, PartitionSet};
use projection_service::rebuild::{Error, Exchanged, Progress, list};
use read_models::testing::Network;
use read_models::{Fact, Folds, fold_all, touched};
use schema::log::Position;
use schema::view::{FeedStart, Model, RowChange, ViewFeeds, ViewStore};
use sqlx::postgres::PgPool;
use tokio::sync::watch;

use super::{both_folds, build, rebuilder};
use crate::support::{PATIENCE, Process, assert_same, contained, empty, grow, log, store_options, tables};

type Seen = HashMap<(Model, String), Vec<(Position, bool, String)>>;

/// Everything that a subscriber is told, and up to where.
fn follow(process: &Process) -> watch::Receiver<(Position, Seen)> {
    let (publish, followed) = watch::channel((Position::START, Seen::new()));
    let mut feed = process.views.follow(FeedStart::Now);
    tokio::spawn(async move {
        let mut seen = Seen::new();
        let mut newest: HashMap<(Model, String), Position> = HashMap::new();
        loop {
            let Ok(batch) = feed.next().await else { continue };
            for row in batch.rows {
                let slot = (row.row.model(), row.key.clone());
                // As every consumer does: what is not newer is dropped.
                if newest.get(&slot).is_none_or(|had| row.position > *had) {
                    newest.insert(slot.clone(), row.position);
                    seen.entry(slot).or_default().push((row.position, row.removed, row.row.to_json()));
                }
            }
            publish.send_replace((batch.upto, seen.clone()));
        }
    });
    followed
}

async fn all_are_at(followers: &mut [watch::Receiver<(Position, Seen)>], position: Position) {
    for follower in followers {
        let there = follower.wait_for(|(upto, _)| *upto >= position);
        tokio::time::timeout(PATIENCE, there).await.expect("they are told").unwrap();
    }
}

async fn sites(pool: &PgPool) -> BTreeMap<String, (bool, serde_json::Value)> {
    let rows: Vec<(String, bool, serde_json::Value)> =
        sqlx::query_as("SELECT key, removed, row FROM views.sites").fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(key, removed, row)| (key, (removed, row))).collect()
}

/// What the log says of an exchange.
async fn said(store: &EventStore, position: Position) -> ReadModelEvent {
    let stretch = store.read(Position(position.0 - 1), 1, PartitionSet::ALL).await.unwrap();
    match stretch.events[0].event.as_deref().unwrap() {
        Event::ReadModel(event) => event.clone(),
        other => panic!("{other:?}"),
    }
}

/// Appends until it is told to stop.
fn load(store: &EventStore, mut network: Network) -> (Arc<AtomicBool>, tokio::task::JoinHandle<Network>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, store) = (Arc::clone(&stop), store.clone());
    let growing = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            grow(&store, &mut network, 5).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        network
    });
    (stop, growing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_are_told_of_what_a_swap_changes_and_of_nothing_else() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(4);
    let position = grow(&store, &mut network, 1_500).await;
    let one = Process::start_with_folds(database.url(), "one", false, both_folds());
    let other = Process::start_with_folds(database.url(), "other", false, both_folds());
    contained(&views, position).await;
    let rebuilder = rebuilder(pool, both_folds()).await;
    assert!(build(&rebuilder, Model::Sites).await > 0);
    let mut followers = [follow(&one), follow(&other)];
    // They have begun, and see all that comes.
    all_are_at(&mut followers, position).await;

    let (stop, growing) = load(&store, network);
    let early = rebuilder.roll_back(Model::Sites, false).await;
    assert!(matches!(early, Err(Error::NeverLive { .. })), "{early:?}");
    let swapped: Exchanged = rebuilder.swap(Model::Sites, false).await.unwrap();
    all_are_at(&mut followers, swapped.position).await;
    let back: Exchanged = rebuilder.roll_back(Model::Sites, false).await.unwrap();
    all_are_at(&mut followers, back.position).await;
    let again = rebuilder.swap(Model::Sites, false).await;
    assert!(matches!(again, Err(Error::ServedBefore { .. })), "{again:?}");
    stop.store(true, Ordering::Relaxed);
    let mut network = growing.await.unwrap();
    let position = grow(&store, &mut network, 10).await;
    contained(&views, position).await;

    assert!(matches!(
        said(&store, swapped.position).await,
        ReadModelEvent::ReadModelSwapped { from_build: 1, to_build: 2, .. }
    ));
    assert!(matches!(
        said(&store, back.position).await,
        ReadModelEvent::ReadModelRolledBack { from_build: 2, to_build: 1, .. }
    ));
    // What serves again is what one fold of the log makes of it, but for the positions that it has of the roll-back.
    let events = log(&store).await;
    let mut expected = fold_all(events.iter().map(AsRef::as_ref)).unwrap();
    let actual = tables(&views).await;
    let mut moved = 0;
    for (slot, row) in &mut expected {
        let actual: &RowChange = &actual[slot];
        if slot.0 == Model::Sites && actual.position == back.position {
            row.position = back.position;
            moved += 1;
        }
    }
    assert_same(&actual, &expected, 4);
    // Some of the rows that it changed were changed again by events.
    assert!(moved > 0 && moved <= back.rows.unwrap(), "{moved} of {back:?}");

    let events_of = |at: Position| events.iter().find(|event| event.position == at).unwrap();
    for mut follower in followers {
        let (_, seen) = follower.wait_for(|(upto, _)| *upto >= position).await.unwrap().clone();
        let told_at = |at: Position| {
            let of_sites = seen.iter().filter(|((model, _), _)| *model == Model::Sites);
            of_sites.filter(|(_, told)| told.iter().any(|(position, ..)| *position == at)).count() as i64
        };
        // What an event after the exchange has changed again may be told of once.
        assert!(told_at(swapped.position) > 0 && told_at(swapped.position) <= swapped.rows.unwrap());
        assert!(told_at(back.position) > 0 && told_at(back.position) <= back.rows.unwrap());
        for ((model, key), told) in &seen {
            for (position, removed, row) in told {
                let exchange = *position == swapped.position || *position == back.position;
                assert!(!exchange || *model == Model::Sites, "{model:?} {key} at {position}");
                // Everything else that was told is of an event that touches the row.
                let of_event = || touched(&Fact::of(events_of(*position)).unwrap()).any(|touch| touch.key == *key);
                assert!(exchange || of_event(), "{model:?} {key} at {position}");
                assert!(!removed || *position == swapped.position, "{model:?} {key}: {row}");
            }
        }
        // Whoever follows holds in the end what the tables hold.
        for ((model, key), told) in &seen {
            let (position, removed, row) = told.last().unwrap();
            let held = &actual[&(*model, key.clone())];
            assert_eq!((held.position, held.removed, held.row.to_json()), (*position, *removed, row.clone()));
        }
    }
}

#[tokio::test]
async fn a_swapped_build_goes_on_and_what_served_is_kept_current_until_it_is_dropped() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(6);
    let position = grow(&store, &mut network, 1_200).await;
    let _worker = Process::start_with_folds(database.url(), "worker", true, both_folds());
    contained(&views, position).await;
    let rebuilder = rebuilder(pool, both_folds()).await;
    let differing = build(&rebuilder, Model::Sites).await;
    let before = sites(pool).await;
    let swapped = rebuilder.swap(Model::Sites, false).await.unwrap();
    assert_eq!(swapped.rows, Some(differing));
    let after = sites(pool).await;
    assert_eq!(before.len(), after.len());
    let renamed =
        after.values().filter(|(_, row)| row["site"]["details"]["name"].as_str().unwrap().starts_with("Site "));
    let removed = after.values().filter(|(removed, _)| *removed);
    assert_eq!(renamed.count() + removed.count(), differing as usize);

    // The other read models are where they were, and the whole goes on.
    let position = grow(&store, &mut network, 300).await;
    contained(&views, position).await;
    let compared = rebuilder.compare(Model::Sites, 3).await.unwrap();
    assert_eq!((compared.live.number, compared.shadow.number), (2, 1));
    assert!(compared.differing() >= differing);
    let back = rebuilder.roll_back(Model::Sites, false).await.unwrap();
    assert_eq!(back.rows, Some(compared.differing()));
    let events = log(&store).await;
    let expected = fold_all(events.iter().map(AsRef::as_ref)).unwrap();
    for ((model, key), row) in &expected {
        if *model == Model::Sites {
            let (removed, actual) = &sites(pool).await[key];
            assert_eq!((*removed, actual), (false, &serde_json::from_str(&row.row.to_json()).unwrap()), "{key}");
        }
    }
    assert_eq!(rebuilder.discard(Model::Sites).await.unwrap().number, 2);
    let position = grow(&store, &mut network, 50).await;
    contained(&views, position).await;
    let numbers: Vec<i32> = list(pool)
        .await
        .unwrap()
        .iter()
        .filter(|build| build.model == Model::Sites)
        .map(|build| build.number)
        .collect();
    assert_eq!(numbers, [1]);
}

/// A session that reads through a swap, with statements that it has prepared before.
#[tokio::test]
async fn prepared_statements_read_on_through_a_swap() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(7);
    let position = grow(&store, &mut network, 300).await;
    let _worker = Process::start(database.url(), "worker");
    contained(&views, position).await;
    let rebuilder = rebuilder(pool, Folds::of_today()).await;
    let mut connection = pool.acquire().await.unwrap();
    let count = "SELECT count(*), min(row::text), max(position) FROM views.sessions";
    let before: (i64, String, i64) = sqlx::query_as(count).fetch_one(&mut *connection).await.unwrap();
    let keys: Vec<String> = tables(&views).await.keys().map(|(_, key)| key.clone()).collect();
    for _ in 0..2 {
        rebuilder.build(Model::Sessions, &Progress::default()).await.unwrap();
        let swapped = rebuilder.swap(Model::Sessions, false).await.unwrap();
        assert_eq!(swapped.rows, Some(0), "nothing differs");
        let after: (i64, String, i64) = sqlx::query_as(count).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(after, before);
        assert_eq!(tables(&views).await.keys().map(|(_, key)| key.clone()).collect::<Vec<_>>(), keys);
        rebuilder.discard(Model::Sessions).await.unwrap();
    }
    let position = grow(&store, &mut network, 50).await;
    contained(&views, position).await;
    let expected = fold_all(log(&store).await.iter().map(AsRef::as_ref)).unwrap();
    assert_same(&tables(&views).await, &expected, 7);
}

/// Who exchanges builds was killed after the event, and before the tables changed places.
#[tokio::test]
async fn an_exchange_that_was_said_and_did_not_happen_is_taken_back_by_the_next() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let position = grow(&store, &mut Network::new(9), 300).await;
    let _worker = Process::start(database.url(), "worker");
    contained(&ViewStore::new(pool.clone()), position).await;
    let rebuilder = rebuilder(pool, Folds::of_today()).await;
    rebuilder.build(Model::Plans, &Progress::default()).await.unwrap();
    let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")));
    let stream = ReadModel::stream_id("plans");
    let said: Result<_, event_store::session::Error> = store
        .run(&envelope, move |session| {
            let swap = ReadModelCommand::Swap { model: "plans".to_owned(), from_build: 1, to_build: 2 };
            Box::pin(async move { session.decide::<ReadModel>(stream, stream, swap).await })
        })
        .await;
    assert!(said.unwrap().0.is_ok());
    let swapped = rebuilder.swap(Model::Plans, false).await.unwrap();
    let types = "SELECT event_type FROM events WHERE aggregate_id = $1::text ORDER BY sequence";
    let types: Vec<String> = sqlx::query_scalar(types).bind(stream).fetch_all(pool).await.unwrap();
    assert_eq!(types, ["ReadModelSwapped", "ReadModelSwapAbandoned", "ReadModelSwapped"]);
    assert_eq!((swapped.from, swapped.to), (1, 2));
    // One that happened is no such thing.
    rebuilder.roll_back(Model::Plans, false).await.unwrap();
    rebuilder.roll_back(Model::Plans, false).await.unwrap();
    let exchanges =
        "SELECT count(*) FROM events WHERE aggregate_id = $1::text AND event_type = 'ReadModelSwapAbandoned'";
    let abandoned: i64 = sqlx::query_scalar(exchanges).bind(stream).fetch_one(pool).await.unwrap();
    assert_eq!(abandoned, 1);
}
