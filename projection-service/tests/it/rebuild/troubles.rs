//! What can go wrong while a build is made: it says so, changes nothing, and goes on when it is called again.

use event_store::EventStore;
use projection_service::rebuild::{Error, Progress, list};
use read_models::Folds;
use read_models::testing::Network;
use schema::view::{Model, ViewStore};
use sqlx::Executor;

use super::{NarrowSites, rebuilder};
use crate::support::{Process, contained, empty, grow, store_options, tables};

#[tokio::test]
async fn a_full_disk_and_a_lost_connection_are_told_and_leave_everything_as_it_was() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let position = grow(&store, &mut Network::new(3), 800).await;
    let _worker = Process::start(database.url(), "worker");
    contained(&views, position).await;
    let before = tables(&views).await;
    let rebuilder = rebuilder(pool, Folds::of_today()).await;

    // At the second checkpoint.
    let full = "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.position > 200 THEN RAISE disk_full USING MESSAGE = 'No space left on device'; END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER no_room BEFORE UPDATE ON views.build_progress FOR EACH ROW EXECUTE FUNCTION no_room()";
    pool.execute(full).await.unwrap();
    let refused = rebuilder.build(Model::Sessions, &Progress::default()).await.unwrap_err();
    assert!(matches!(refused, Error::DiskFull(_)), "{refused:?}");
    assert!(refused.to_string().contains("Make room and run `rebuild` again"), "{refused}");
    let build = list(pool).await.unwrap().into_iter().find(|build| build.number == 2).unwrap();
    assert!(build.position < position, "{build:?}");

    let lost = "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.position > 400 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                    RETURN NEW;
                END $$";
    pool.execute(lost).await.unwrap();
    let refused = rebuilder.build(Model::Sessions, &Progress::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Database(_) | Error::Log(_)), "{refused:?}");
    assert!(refused.to_string().contains("run the command again"), "{refused}");

    assert_eq!(tables(&views).await, before);
    pool.execute("DROP FUNCTION no_room CASCADE").await.unwrap();
    let progress = Progress::default();
    let built = rebuilder.build(Model::Sessions, &progress).await.unwrap();
    assert!(built.resumed && built.number == 2 && progress.began_at().0 > 0, "{built:?} from {}", progress.began_at());
    assert_eq!(rebuilder.compare(Model::Sessions, 5).await.unwrap().differing(), 0);
}

#[tokio::test]
async fn a_key_that_the_new_fold_can_not_go_on_with_is_parked_in_the_new_build_alone() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(8);
    let position = grow(&store, &mut network, 2_000).await;
    let folds = Folds::of_today().with::<NarrowSites>();
    let _worker = Process::start_with_folds(database.url(), "worker", false, folds.clone());
    contained(&views, position).await;
    let rebuilder = rebuilder(pool, folds).await;
    rebuilder.build(Model::Sites, &Progress::default()).await.unwrap();
    let expected = "SELECT count(DISTINCT aggregate_id) FROM events
                    WHERE aggregate_type = 'Site' AND sequence = 2 AND right(aggregate_id, 1) IN ('0','2','4','6','8','a','c','e')";
    let expected: i64 = sqlx::query_scalar(expected).fetch_one(pool).await.unwrap();
    assert!(expected > 0);
    let parked = async || {
        let builds = list(pool).await.unwrap();
        let of = |number| builds.iter().find(|build| build.model == Model::Sites && build.number == number);
        (of(1).unwrap().parked_keys, of(2).unwrap().parked_keys)
    };
    assert_eq!(parked().await, (0, expected));
    // Of each key, the event that parked it, and all after it.
    let held = "SELECT count(*) FROM views.parked_events p
                JOIN events e ON e.position = p.position AND e.sequence >= 2 AND e.aggregate_id = p.partition_key::text";
    let held: i64 = sqlx::query_scalar(held).fetch_one(pool).await.unwrap();
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM views.parked_events").fetch_one(pool).await.unwrap();
    assert!(held >= expected && held == all, "{held} of {all}");

    let refused = rebuilder.swap(Model::Sites, false).await.unwrap_err();
    assert!(matches!(refused, Error::Parked { number: 2, keys, .. } if keys == expected), "{refused:?}");
    let position = grow(&store, &mut network, 200).await;
    contained(&views, position).await;
    rebuilder.swap(Model::Sites, true).await.unwrap();
    let position = grow(&store, &mut network, 50).await;
    contained(&views, position).await;
    rebuilder.roll_back(Model::Sites, false).await.unwrap();
    rebuilder.discard(Model::Sites).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM views.parked_keys").fetch_one(pool).await.unwrap();
    assert_eq!(left, 0, "what is parked goes with its build");
}
