use std::time::Duration;

use application::report::{connect, edge_lease};
use chrono::Utc;
use domain::charge_point::ChargePoint;
use schema::view::ChargePointRow;
use service_host::{Readiness, Shutdown};
use uuid::Uuid;

use super::world::{EDGE, World, new_charger, options, patient};
use crate::process::edges::EdgeWatch;
use crate::process::options::Options;

const LONG: Duration = Duration::from_secs(600);

/// What projection-service does.
async fn project(world: &World, identity: &str, link: &application::report::Link) {
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
    let gate = Readiness::default().gate("edges");
    let watch = EdgeWatch::new(world.app.clone(), world.database.pool().clone(), options, gate);
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
    let _watch = watch(&world, Options { edge_ttl: Duration::from_millis(100), ..options() });
    world.event(world.link.charge_point_id, "ChargePointDisconnected").await;
}
