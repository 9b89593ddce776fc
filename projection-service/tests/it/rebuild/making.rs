//! A build is made, however often it is interrupted, and is what the live one is.

use std::time::Duration;

use event_store::EventStore;
use projection_service::rebuild::{BuildState, Error, Progress, list};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use read_models::Folds;
use read_models::testing::Network;
use schema::view::{Model, ViewStore};
use sqlx::postgres::PgPool;

use super::{both_folds, build, is_left_out, rebuilder};
use crate::support::{PATIENCE, Process, contained, empty, grow, store_options};

#[tokio::test]
async fn a_build_of_the_same_fold_has_the_same_rows() {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone());
    let mut network = Network::new(1);
    let position = grow(&store, &mut network, 400).await;
    let worker = Process::start(database.url(), "worker");
    contained(&views, position).await;
    let rebuilder = rebuilder(database.pool(), Folds::of_today()).await;
    for model in Model::ALL {
        assert_eq!(build(&rebuilder, model).await, 0, "{model:?}");
    }
    // It stays the same as the log grows, with another worker too.
    let position = grow(&store, &mut network, 100).await;
    contained(&views, position).await;
    drop(worker);
    let _worker = Process::start(database.url(), "another");
    let position = grow(&store, &mut network, 100).await;
    contained(&views, position).await;
    for model in Model::ALL {
        assert_eq!(rebuilder.compare(model, 5).await.unwrap().differing(), 0, "{model:?}");
        let again = rebuilder.build(model, &Progress::default()).await;
        assert!(matches!(again, Err(Error::AlreadyJoined { number: 2, .. })), "{again:?}");
        assert_eq!(rebuilder.discard(model).await.unwrap().number, 2);
        assert!(matches!(rebuilder.discard(model).await, Err(Error::NoShadow(_))));
        assert!(matches!(rebuilder.compare(model, 5).await, Err(Error::NoShadow(_))));
    }
    assert_eq!(list(database.pool()).await.unwrap().len(), Model::ALL.len());
    // What was dropped leaves nothing: the next one is made from the beginning.
    assert_eq!(build(&rebuilder, Model::Sessions).await, 0);
    let builds = list(database.pool()).await.unwrap();
    let sessions: Vec<_> = builds.iter().filter(|build| build.model == Model::Sessions).collect();
    assert_eq!(sessions.iter().map(|build| build.number).collect::<Vec<_>>(), [1, 3]);
}

/// Dropping the future drops its tasks and connections, wherever they are: what the server sees of a kill.
#[tokio::test]
async fn a_build_that_is_killed_at_any_moment_goes_on_where_it_was() {
    for seed in 0..3 {
        println!("seed {seed}");
        let database = empty().await;
        let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
        let views = ViewStore::new(database.pool().clone());
        let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));
        let position = grow(&store, &mut network, 500).await;
        let _worker = Process::start(database.url(), "worker");
        contained(&views, position).await;
        for model in [Model::Sessions, Model::ChargePoints, Model::Commands] {
            let mut kills = 0;
            loop {
                let rebuilder = rebuilder(database.pool(), Folds::of_today()).await;
                let patience = Duration::from_micros(rng.random_range(100..60_000) * (kills + 1));
                let progress = Progress::default();
                match tokio::time::timeout(patience, rebuilder.build(model, &progress)).await {
                    Ok(Ok(built)) => {
                        assert_eq!(built.number, 2);
                        break;
                    }
                    // The server has not noticed yet that the one before is gone.
                    Ok(Err(Error::Busy(_))) => {}
                    // It was killed after its last commit.
                    Ok(Err(Error::AlreadyJoined { .. })) => break,
                    Ok(Err(error)) => panic!("seed {seed}: {error:?}"),
                    Err(_) => kills += 1,
                }
                grow(&store, &mut network, rng.random_range(0..20)).await;
            }
            println!("{model:?} was killed {kills} times");
            let position = grow(&store, &mut network, 30).await;
            contained(&views, position).await;
            let compared = rebuilder(database.pool(), Folds::of_today()).await.compare(model, 5).await.unwrap();
            assert_eq!(compared.differing(), 0, "seed {seed}: {:?}", compared.sample);
        }
    }
}

/// A rebuilder that was killed may have left the server at a statement, which comes to its end when the next one is there.
#[tokio::test]
async fn what_a_killed_one_left_the_server_at_is_waited_for() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let position = grow(&store, &mut Network::new(6), 100).await;
    let worker = Process::start(database.url(), "worker");
    contained(&ViewStore::new(pool.clone()), position).await;

    let beginning =
        "SELECT views.begin_build('sessions', (SELECT fold_version FROM views.builds WHERE model = 'sessions'))";
    build_while_under_way(pool, beginning).await;
    drop(worker);
    let unindexed = "UPDATE views.builds SET state = 'building' WHERE model = 'sessions' AND state = 'joined';
                     DO $$ BEGIN EXECUTE (SELECT string_agg('DROP INDEX shadow.' || indexname, ';') FROM pg_indexes
                           WHERE schemaname = 'shadow' AND indexname NOT LIKE '%_pkey'); END $$";
    sqlx::raw_sql(unindexed).execute(pool).await.unwrap();
    build_while_under_way(pool, "SELECT views.index_shadow('sessions')").await;
}

async fn build_while_under_way(pool: &PgPool, statement: &str) {
    let mut left = pool.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *left).await.unwrap();
    let rebuilder = rebuilder(pool, Folds::of_today()).await;
    let building = tokio::spawn(async move { rebuilder.build(Model::Sessions, &Progress::default()).await });
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock')";
    let until_it_waits = async {
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(pool).await.unwrap() {
            assert!(!building.is_finished(), "it waits");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_it_waits).await.expect("it waits for what was left");
    left.commit().await.unwrap();
    assert!(building.await.unwrap().unwrap().resumed, "{statement}");
}

#[tokio::test]
async fn two_rebuilders_of_a_read_model_are_refused() {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    grow(&store, &mut Network::new(2), 300).await;
    let _worker = Process::start(database.url(), "worker");
    let (head, _) = store.head().await.unwrap();
    contained(&ViewStore::new(database.pool().clone()), head).await;
    let (one, other) =
        (rebuilder(database.pool(), Folds::of_today()).await, rebuilder(database.pool(), Folds::of_today()).await);
    let (progress, progress_of_other) = (Progress::default(), Progress::default());
    let both = tokio::join!(one.build(Model::Sessions, &progress), other.build(Model::Sessions, &progress_of_other));
    let refused = match both {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        both => panic!("{both:?}"),
    };
    assert!(matches!(refused, Error::Busy(Model::Sessions) | Error::AlreadyJoined { .. }), "{refused:?}");
    // Of different ones, they don't meet.
    let both = tokio::join!(one.build(Model::Sites, &progress), other.build(Model::Tokens, &progress_of_other));
    assert!(matches!(both, (Ok(_), Ok(_))), "{both:?}");
}

#[tokio::test]
async fn what_a_changed_fold_changes_is_shown_with_the_events() {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone());
    let mut network = Network::new(4);
    let position = grow(&store, &mut network, 1_500).await;
    let _worker = Process::start_with_folds(database.url(), "worker", false, both_folds());
    contained(&views, position).await;
    let rebuilder = rebuilder(database.pool(), both_folds()).await;
    let built = rebuilder.build(Model::Sites, &Progress::default()).await.unwrap();
    assert_eq!(built.fold_version, 2);
    let position = grow(&store, &mut network, 300).await;
    contained(&views, position).await;

    let compared = rebuilder.compare(Model::Sites, 1_000).await.unwrap();
    let expected: Vec<(String, String)> =
        sqlx::query_as("SELECT key, row #>> '{site,details,name}' FROM views.sites ORDER BY key")
            .fetch_all(database.pool())
            .await
            .unwrap();
    let gone: Vec<_> = expected.iter().filter(|(key, _)| is_left_out(key)).collect();
    let renamed: Vec<_> = expected
        .iter()
        .filter(|(key, name)| !is_left_out(key) && name.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    assert!(!gone.is_empty() && !renamed.is_empty() && gone.len() + renamed.len() < expected.len(), "{expected:?}");
    assert_eq!((compared.only_live, compared.only_shadow), (gone.len() as i64, 0));
    assert_eq!(compared.changed, renamed.len() as i64);
    for difference in &compared.sample {
        let event = difference.event.as_ref().expect("the log has it");
        assert!(event.stream.ends_with(&difference.key) && event.event_type.starts_with("Site"), "{difference:?}");
        if difference.shadow.is_some() {
            let [part] = difference.parts.as_slice() else { panic!("{difference:?}") };
            assert_eq!(part.path, "site.details.name");
            assert_eq!(part.shadow, format!("Site {}", part.live.as_str().unwrap()));
        }
    }
    // A program without the later fold knows what it can't do.
    let older = super::rebuilder(database.pool(), Folds::of_today()).await;
    rebuilder.discard(Model::Sites).await.unwrap();
    sqlx::query("SELECT views.begin_build('sites', 2)").execute(database.pool()).await.unwrap();
    let refused = older.build(Model::Sites, &Progress::default()).await;
    assert!(matches!(refused, Err(Error::OtherVersion { version: 2, newest: 1, .. })), "{refused:?}");
    let builds = list(database.pool()).await.unwrap();
    assert!(builds.iter().any(|build| build.model == Model::Sites && build.state == BuildState::Building));
}
