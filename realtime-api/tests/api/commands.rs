use application::auth::Role;
use application::command::{self, ActivatePlan, PublishPlan, RegisterCharger};
use application::report;
use chrono::Utc;
use domain::id::{ChargePointIdentity, ConnectorId, DriverId, EvseId, TenantId};
use domain::outlet::{Connector, Evse};
use domain::plan::PlanDetails;
use serde_json::json;
use uuid::Uuid;

use crate::support::World;

/// A charger that is online, and a driver with a plan.
async fn prepared(world: &World) {
    let app = &world.application;
    let operator = world.context(world.operator, Role::Operator).await;
    let driver_id = DriverId(world.driver);
    command::register_driver(app, TenantId::DEFAULT, driver_id, None).await.expect("registered");
    let details = PlanDetails { name: "Basic".to_owned(), tariff_id: None };
    let plan = command::publish_plan(app, &operator, PublishPlan { plan_id: None, details }).await.expect("published");
    let plan_id = plan.plan_id.expect("a plan");
    command::activate_plan(app, &operator, ActivatePlan { driver_id, plan_id }).await.expect("activated");
    let identity = ChargePointIdentity::parse("CP1").expect("a name");
    let connector = Connector { connector_id: ConnectorId(1), kind: None, max_power_w: None };
    let evses = vec![Evse { evse_id: EvseId(1), connectors: vec![connector] }];
    let register = RegisterCharger { identity: identity.clone(), credential: None, site_id: None, evses };
    command::register_charger(app, &operator, register).await.expect("registered");
    let entry = app.chargers().find(TenantId::DEFAULT, &identity).await.expect("found").expect("there");
    report::connect(app, TenantId::DEFAULT, entry.charge_point_id, "ocpp1.6", "edge", None, Utc::now())
        .await
        .expect("online");
}

#[tokio::test]
async fn a_charge_is_started_and_stopped_over_the_socket_once() {
    let world = World::new().await;
    prepared(&world).await;
    let mut client = world.driver_socket().await;
    let command_id = Uuid::now_v7();
    let start =
        json!({"action": "start_charging", "charger_id": "CP1", "connector_id": 1, "command_id": command_id, "id": 1});
    let accepted = client.ask(start.clone()).await;
    assert_eq!((&accepted["type"], &accepted["id"]), (&"accepted".into(), &1.into()), "{accepted}");
    assert!(accepted["data"]["session_id"].is_string() && accepted["data"]["position"].is_i64());
    assert_eq!(client.ask(start.clone()).await["data"], accepted["data"], "the same again gets the first answer");
    let mut other_body = start;
    other_body["connector_id"] = json!(2);
    assert_eq!(client.ask(other_body).await["data"]["type"], "/problems/idempotency-conflict");

    let stop = json!({"action": "stop_charging", "session_id": accepted["data"]["session_id"]});
    assert_eq!(client.ask(stop.clone()).await["type"], "accepted");
    assert_eq!(client.ask(stop).await["data"]["type"], "/problems/session-over");
}

#[tokio::test]
async fn refusals_are_problems_with_the_clients_id() {
    let world = World::new().await;
    let mut client = world.driver_socket().await;
    for (message, code, field) in [
        (
            json!({"action": "start_charging", "charger_id": "nobody", "connector_id": 1}),
            "charger-unknown",
            json!(null),
        ),
        (json!({"action": "start_charging", "charger_id": "CP1"}), "invalid-request", json!("connector_id")),
        (json!({"action": "start_charging"}), "invalid-request", json!("charger_id")),
        (json!({"action": "start_charging", "evse_uid": "x"}), "invalid-request", json!("evse_uid")),
        (json!({"action": "stop_charging", "session_id": Uuid::now_v7()}), "session-unknown", json!(null)),
        (json!({"action": "stop_charging"}), "invalid-request", json!("session_id")),
        (
            json!({"action": "start_charging", "charger_id": "CP1", "connector_id": 0}),
            "invalid-request",
            json!("connector_id"),
        ),
        (
            json!({"action": "start_charging", "charger_id": "CP1", "conector_id": 1}),
            "invalid-request",
            json!("conector_id"),
        ),
        (
            json!({"action": "start_charging", "charger_id": "CP1", "evse_uid": "x"}),
            "invalid-request",
            json!("charger_id"),
        ),
        (json!({"action": "stop_charging", "session_id": "zzz"}), "invalid-request", json!("session_id")),
        (json!({"action": "subscribe", "topic": "me", "since": "12"}), "invalid-request", json!("since")),
    ] {
        let mut message = message;
        message["id"] = json!("me");
        let error = client.ask(message.clone()).await;
        assert_eq!(error["data"]["type"], format!("/problems/{code}"), "{message}");
        assert_eq!((&error["id"], &error["data"]["field"]), (&"me".into(), &field), "{message}");
    }
}
