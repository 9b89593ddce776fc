use std::collections::BTreeMap;
use std::time::Duration;

use application::Application;
use application::report::{Link, connect, edge_lease};
use application::vault::MasterKey;
use chrono::Utc;
use domain::charge_point::ChargePoint;
use domain::id::ChargePointId;
use event_store::{EventStore, StoreOptions};
use schema::view::ChargePointRow;
use service_host::{Readiness, Shutdown};
use uuid::Uuid;

use super::world::{EDGE, World, new_charger, options, patient};
use crate::process::edges::EdgeWatch;
use crate::process::options::Options;

/// More chargers than are seen to at a time, and than the edge is given up after.
const MANY: usize = 40;
/// By its name.
const LATER: &str = "later-than-the-first";
const LONG: Duration = Duration::from_secs(600);

/// What projection-service does.
async fn project(world: &World, identity: &str, link: &Link) {
    let charge_point = world.app.store().load::<ChargePoint>(link.charge_point_id).await.expect("loaded").state;
    let row = ChargePointRow {
        tenant_id: link.tenant_id,
        charge_point_id: link.charge_point_id,
        charge_point: (*charge_point).clone(),
        registered_at: Utc::now(),
        booted_at: None,
    };
    assert_eq!(row.charge_point.identity.as_ref().map(|known| known.as_str()), Some(identity));
    let statement = sqlx::query(
        "INSERT INTO views.charge_points (key, partition, generation, position, removed, row) VALUES ($1, 0, 1, 1, false, $2)",
    );
    let row = serde_json::to_value(row).expect("a row");
    let statement = statement.bind(link.charge_point_id.to_string()).bind(row);
    statement.execute(world.database.pool()).await.expect("written");
}

fn watch(world: &World, options: Options) -> tokio::task::JoinHandle<()> {
    watch_with(&world.app, world, options, &Readiness::default())
}

fn watch_with(
    app: &Application,
    world: &World,
    options: Options,
    readiness: &Readiness,
) -> tokio::task::JoinHandle<()> {
    let watch = EdgeWatch::new(app.clone(), world.database.pool().clone(), options, readiness);
    tokio::spawn(watch.run(Shutdown::new()))
}

#[tokio::test]
async fn the_chargers_of_an_edge_that_is_gone_are_offline() {
    let world = World::new(patient()).await;
    project(&world, "CP001", &world.link).await;
    let moved = new_charger(&world.app, "CP002").await;
    project(&world, "CP002", &moved).await;
    let alive = new_charger(&world.app, "CP003").await;
    let elsewhere =
        connect(&world.app, alive.tenant_id, alive.charge_point_id, "ocpp1.6", "living", None, Utc::now()).await;
    project(&world, "CP003", &elsewhere.expect("connected")).await;
    // It came back elsewhere, and the read model does not know of it yet.
    let back = connect(&world.app, moved.tenant_id, moved.charge_point_id, "ocpp1.6", "living", None, Utc::now()).await;
    back.expect("connected");

    let store = world.app.store();
    let living = store.acquire_lease(&edge_lease("living"), 0, Uuid::now_v7(), LONG).await.expect("asked");
    let gone = store.acquire_lease(&edge_lease(EDGE), 0, Uuid::now_v7(), Duration::ZERO).await.expect("asked");
    let _watch = watch(&world, options());
    world.event(world.link.charge_point_id, "ChargePointDisconnected").await;
    // The watch is through with that edge when it gives its lease back.
    world.until(&format!("SELECT holder IS NULL FROM leases WHERE name = '{}'", edge_lease(EDGE))).await;
    assert_eq!(world.count("ChargePointDisconnected").await, 1);
    assert!(!store.renew_lease(&gone.expect("free"), LONG).await.expect("asked"), "a frozen edge learns of it");
    assert!(store.renew_lease(&living.expect("free"), LONG).await.expect("asked"), "a living one is left alone");
}

#[tokio::test]
async fn an_edge_that_has_no_lease_for_a_while_is_gone() {
    let world = World::new(patient()).await;
    project(&world, "CP001", &world.link).await;
    let _watch = watch(&world, Options { edge_ttl: Duration::from_secs(1), ..options() });
    world.event(world.link.charge_point_id, "ChargePointDisconnected").await;
}

async fn online(world: &World, id: ChargePointId) -> bool {
    world.app.store().load::<ChargePoint>(id).await.expect("loaded").state.online
}

/// Many chargers of an edge, and one of another whose name comes later.
async fn two_edges(world: &World) -> (Vec<Link>, Link) {
    let mut first = vec![];
    for number in 0..MANY {
        let identity = format!("CP1{number:02}");
        first.push(new_charger(&world.app, &identity).await);
        project(world, &identity, &first[number]).await;
    }
    assert!(EDGE < LATER);
    let second = new_charger(&world.app, "CP200").await;
    let second =
        connect(&world.app, second.tenant_id, second.charge_point_id, "ocpp1.6", LATER, None, Utc::now()).await;
    let second = second.expect("connected");
    project(world, "CP200", &second).await;
    (first, second)
}

/// Another process, which remembers nothing of the chargers.
async fn another(world: &World) -> Application {
    let options = StoreOptions { retry_for: Duration::from_millis(50), ..StoreOptions::default() };
    let store = EventStore::connect(world.database.pool().clone(), options).await.expect("a store");
    Application::new(store, world.database.pool().clone(), MasterKey::new([7; 32]), patient())
}

/// What is recorded of none of an edge's chargers is left, and the next edge is seen to.
#[tokio::test]
async fn an_edge_that_cannot_be_seen_to_does_not_keep_the_next_from_it() {
    let world = World::new(patient()).await;
    let (first, second) = two_edges(&world).await;
    for statement in [
        "CREATE FUNCTION refuse_of_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'not now'; END $$",
        &format!(
            "CREATE TRIGGER refuse_of_the_test BEFORE INSERT ON events FOR EACH ROW \
             WHEN (NEW.partition_key <> '{}') EXECUTE FUNCTION refuse_of_the_test()",
            second.charge_point_id
        ),
    ] {
        sqlx::query(statement).execute(world.database.pool()).await.expect("prepared");
    }
    let readiness = Readiness::default();
    let options = Options { edge_ttl: Duration::from_secs(1), ..options() };
    let _watch = watch_with(&another(&world).await, &world, options, &readiness);
    world.event(second.charge_point_id, "ChargePointDisconnected").await;
    assert!(readiness.not_ready().await.is_empty(), "the process can do its work");
    sqlx::query("DROP TRIGGER refuse_of_the_test ON events").execute(world.database.pool()).await.expect("dropped");
    for link in first {
        world.event(link.charge_point_id, "ChargePointDisconnected").await;
    }
}

/// As if a newer version had written what the log has of one charger: the next charger of its edge is seen to, and the next edge.
#[tokio::test]
async fn what_cannot_be_read_of_one_charger_keeps_no_other_online() {
    let world = World::new(patient()).await;
    project(&world, "CP001", &world.link).await;
    let (beside, next) = two_edges(&world).await;
    let spoilt = world.link.charge_point_id;
    assert!(spoilt.to_string() < beside[0].charge_point_id.to_string(), "it comes first");
    let version = async |version: &str| {
        let update = format!("UPDATE events SET event_version = {version} WHERE aggregate_id = $1");
        let updated =
            sqlx::query(&update).bind(spoilt.to_string()).execute(world.database.pool()).await.expect("updated");
        assert_ne!(updated.rows_affected(), 0);
    };
    version("event_version || '000'").await;

    let readiness = Readiness::default();
    let options = Options { edge_ttl: Duration::from_secs(1), ..options() };
    let _watch = watch_with(&another(&world).await, &world, options, &readiness);
    let until = async |what: &str, holds: &dyn Fn(&BTreeMap<String, String>) -> bool| {
        let looking = async {
            while !holds(&readiness.degraded()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let looked = tokio::time::timeout(Duration::from_secs(30), looking).await;
        looked.unwrap_or_else(|_| panic!("{what}: {:?}", readiness.degraded()));
    };
    let charger = spoilt.to_string();
    until("it is told", &|degraded| degraded.values().any(|why| why.contains(&charger) && why.contains(EDGE))).await;
    assert!(readiness.not_ready().await.is_empty(), "the process can do its work");
    for link in beside {
        assert!(!online(&world, link.charge_point_id).await, "the edge was seen to, but for one charger");
    }
    world.event(next.charge_point_id, "ChargePointDisconnected").await;

    version("left(event_version, -3)").await;
    world.event(spoilt, "ChargePointDisconnected").await;
    // The read model still has the edge, and what is asked of it now is done.
    until("it is over", &BTreeMap::is_empty).await;
}

/// The edge came back, or another watch is at it: the chargers that are left are not this one's affair any more.
#[tokio::test]
async fn an_edge_whose_lease_is_lost_amid_its_chargers_keeps_the_others() {
    let world = World::new(patient()).await;
    let (first, second) = two_edges(&world).await;
    // What is recorded of the first edge's chargers waits for the test.
    for statement in [
        "CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$",
        &format!(
            "CREATE TRIGGER wait_for_the_test BEFORE INSERT ON events FOR EACH ROW \
             WHEN (NEW.partition_key = ANY ('{{{}}}')) EXECUTE FUNCTION wait_for_the_test()",
            first.iter().map(|link| link.charge_point_id.to_string()).collect::<Vec<_>>().join(",")
        ),
    ] {
        sqlx::query(statement).execute(world.database.pool()).await.expect("prepared");
    }
    let mut waited_for = world.database.pool().begin().await.expect("begun");
    sqlx::query("SELECT pg_advisory_xact_lock(7)").execute(&mut *waited_for).await.expect("locked");
    let store = world.app.store();
    let gone = store.acquire_lease(&edge_lease(EDGE), 0, Uuid::now_v7(), Duration::ZERO).await.expect("asked");
    let _watch = watch_with(
        &another(&world).await,
        &world,
        Options { edge_ttl: Duration::from_secs(1), ..options() },
        &Readiness::default(),
    );
    let held =
        format!("SELECT holder <> '{}' FROM leases WHERE name = '{}'", gone.expect("free").holder, edge_lease(EDGE));
    world.until(&held).await;
    world.until("SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted").await;
    let back =
        "UPDATE leases SET holder = $1, epoch = epoch + 1, until = now() + interval '10 minutes' WHERE name = $2";
    let back = sqlx::query(back).bind(Uuid::now_v7()).bind(edge_lease(EDGE));
    assert_eq!(back.execute(world.database.pool()).await.expect("taken").rows_affected(), 1);
    // It is through with that edge: it sees to the next one, whose charger waits for the log.
    world.until(&format!("SELECT EXISTS (SELECT FROM leases WHERE name = '{}')", edge_lease(LATER))).await;

    waited_for.rollback().await.expect("unlocked");
    world.event(second.charge_point_id, "ChargePointDisconnected").await;
    let third = new_charger(&world.app, "CP300").await;
    let third = connect(&world.app, third.tenant_id, third.charge_point_id, "ocpp1.6", "the-last", None, Utc::now());
    let third = third.await.expect("connected");
    project(&world, "CP300", &third).await;
    world.event(third.charge_point_id, "ChargePointDisconnected").await;
    // Only what was under way when the lease was lost may have come to its end.
    let disconnected = world.count("ChargePointDisconnected").await;
    assert!((2..2 + MANY as i64 / 2).contains(&disconnected), "{disconnected} of {MANY}, and two of others");
}

/// Edges that could not renew their leases for longer than those hold, as the watch could not ask: they get time to do it.
/// `watches`: whether the process that is looked at is the one that watches, or becomes it after the outage.
async fn a_living_edge_is_left_alone_after_an_outage(at_its_end: &str, watches: bool) {
    const TTL: Duration = Duration::from_secs(4);
    let world = World::new(patient()).await;
    project(&world, "CP001", &world.link).await;
    let other = new_charger(&world.app, "CP002").await;
    let other = connect(&world.app, other.tenant_id, other.charge_point_id, "ocpp1.6", "living", None, Utc::now());
    let other = other.await.expect("connected");
    project(&world, "CP002", &other).await;

    let store = world.app.store();
    let living = store.acquire_lease(&edge_lease("living"), 0, Uuid::now_v7(), LONG).await.expect("asked");
    let living = living.expect("free");
    if !watches {
        let other = store.acquire_lease("process:edges", 0, Uuid::now_v7(), LONG).await.expect("asked");
        other.expect("free");
    }
    let lease_ttl = if watches { Duration::from_secs(30) } else { options().lease_ttl };
    let _watch = watch(&world, Options { edge_ttl: TTL, lease_ttl, ..options() });
    let runs = "SELECT EXISTS (SELECT FROM leases WHERE name = 'process:edges' AND holder IS NOT NULL)
                   AND EXISTS (SELECT FROM lease_workers WHERE name = 'process:edges')";
    world.until(runs).await;
    assert!(store.renew_lease(&living, TTL).await.expect("asked"));
    let mut outage = world.database.pool().begin().await.expect("begun");
    sqlx::query("LOCK TABLE leases, views.charge_points").execute(&mut *outage).await.expect("locked");
    tokio::time::sleep(TTL + TTL / 10).await;
    sqlx::query(at_its_end).execute(&mut *outage).await.expect("ended");
    outage.commit().await.expect("unlocked");

    tokio::time::sleep(TTL / 8).await;
    assert!(store.renew_lease(&living, LONG).await.expect("asked"), "nobody took it over");
    // It sees to edges again.
    world.event(world.link.charge_point_id, "ChargePointDisconnected").await;
    assert!(online(&world, other.charge_point_id).await);
}

#[tokio::test]
async fn a_living_edge_is_left_alone_after_statements_have_failed() {
    a_living_edge_is_left_alone_after_an_outage(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()",
        true,
    )
    .await;
}

#[tokio::test]
async fn a_living_edge_is_left_alone_after_statements_have_hung() {
    a_living_edge_is_left_alone_after_an_outage("SELECT 1", true).await;
}

#[tokio::test]
async fn a_living_edge_is_left_alone_by_who_watches_only_since_the_outage() {
    let watches_no_more = "UPDATE leases SET until = now() - interval '1 second' WHERE name = 'process:edges'";
    a_living_edge_is_left_alone_after_an_outage(watches_no_more, false).await;
}
