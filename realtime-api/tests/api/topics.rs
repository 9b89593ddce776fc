use domain::id::{CommandId, DriverId, SessionId, SiteId, TariffId};
use domain::outlet::OutletStatus;
use domain::session::SessionState;
use domain::station_command::CommandState;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Point, World, charging, command, site, tariff};

#[tokio::test]
async fn a_charger_is_followed_from_its_snapshot() {
    let world = World::new().await;
    let point = Point::new("CP:001");
    world.change(vec![(1_001, point.row())]).await;
    let mut client = world.driver_socket().await;
    let snapshot = client.ask(json!({"action": "subscribe", "topic": "charger:CP:001", "id": "s"})).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!((&snapshot["id"], &snapshot["topic"]), (&"s".into(), &"charger:CP:001".into()));
    assert_eq!((&snapshot["upto"], &snapshot["generation"]), (&1_001.into(), &1.into()));
    assert_eq!(snapshot["data"], world.get(&world.driver_token().await, "/api/chargers/CP:001").await.1);
    assert_eq!(snapshot["data"]["connectors"][1]["connector_id"], 2, "OCPP 1.6's own number");

    world.change(vec![(1_003, point.with(OutletStatus::Charging).row())]).await;
    let update = client.next().await;
    assert_eq!(update["type"], "update");
    assert_eq!(
        (&update["key"], &update["position"], &update["upto"]),
        (&"charger:CP:001".into(), &1_003.into(), &1_003.into())
    );
    assert_eq!(update["data"]["status"], "charging");

    // The feed is at least once: what was sent is not sent again.
    world.tell(vec![(1_003, point.with(OutletStatus::Charging).row())]);
    world.change(vec![(1_004, point.with(OutletStatus::Faulted).row())]).await;
    assert_eq!(client.next().await["position"], 1_004);
    let pong = client.ask(json!({"action": "ping", "id": 1})).await;
    assert_eq!((&pong["type"], &pong["id"], &pong["upto"]), (&"pong".into(), &1.into(), &1_004.into()));

    let ended = client.ask(json!({"action": "unsubscribe", "topic": "charger:CP:001"})).await;
    assert_eq!(ended["type"], "unsubscribed");
    world.change(vec![(1_005, point.row())]).await;
    assert_eq!(client.ask(json!({"action": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn whose_session_holds_a_connector_is_told_to_them_and_to_operators() {
    let world = World::new().await;
    let session_id = SessionId::generate();
    let point = Point { claim: Some((session_id, DriverId(world.driver))), ..Point::new("CP1") };
    world.change(vec![(1_001, point.row())]).await;
    let stranger = world.token(Uuid::now_v7(), application::auth::Role::Driver).await;
    let subscribe = json!({"action": "subscribe", "topic": "charger:CP1"});
    for (token, named) in [
        (world.driver_token().await, json!(session_id)),
        (world.operator_token().await, json!(session_id)),
        (stranger, json!(null)),
    ] {
        let mut client = world.socket(&token).await;
        assert_eq!(client.ask(subscribe.clone()).await["data"]["connectors"][1]["session_id"], named);
        assert_eq!(world.get(&token, "/api/chargers/CP1").await.1["connectors"][1]["session_id"], named);
    }
}

#[tokio::test]
async fn me_is_what_is_open_and_says_what_leaves() {
    let world = World::new().await;
    let point = Point::new("CP1");
    let (ours, theirs, wanted) = (SessionId::generate(), SessionId::generate(), CommandId::generate());
    world
        .change(vec![
            (1_001, point.row()),
            (1_002, charging(theirs, &point, Uuid::now_v7(), SessionState::Active)),
            (1_003, charging(ours, &point, world.driver, SessionState::Requested)),
            (1_003, command(wanted, &point, world.driver, CommandState::Requested)),
        ])
        .await;
    let mut client = world.driver_socket().await;
    let snapshot = client.ask(json!({"action": "subscribe", "topic": "me"})).await;
    assert_eq!(snapshot["data"]["sessions"][0]["session_id"], json!(ours));
    assert_eq!(snapshot["data"]["sessions"][0]["needs"], "plug_in");
    assert_eq!(snapshot["data"]["sessions"][0]["connector_id"], 2);
    assert_eq!(snapshot["data"]["commands"][0]["command_id"], json!(wanted));
    assert_eq!(snapshot["data"]["sessions"].as_array().map(Vec::len), Some(1));
    assert!(snapshot["data"].get("chargers").is_none());

    for (position, state, kind, removed) in [
        (1_004, SessionState::Active, "session_started", json!(null)),
        (1_005, SessionState::Stopping, "session_updated", json!(null)),
        (1_006, SessionState::Completed, "session_stopped", json!(true)),
    ] {
        world.change(vec![(position, charging(ours, &point, world.driver, state))]).await;
        let said = client.next().await;
        assert_eq!((&said["type"], &said["removed"]), (&kind.into(), &removed));
        assert_eq!(said["data"]["state"], state.as_str());
        assert_eq!(said["key"], format!("session:{ours}"));
    }
    world.change(vec![(1_007, command(wanted, &point, world.driver, CommandState::Done))]).await;
    let said = client.next().await;
    assert_eq!((&said["type"], &said["removed"]), (&"command_changed".into(), &true.into()));
    // On a topic of its own, a session stays whatever becomes of it.
    let snapshot = client.ask(json!({"action": "subscribe", "topic": format!("session:{ours}")})).await;
    assert_eq!(snapshot["data"]["state"], "completed");
}

#[tokio::test]
async fn the_fleet_and_stations_are_for_operators() {
    let world = World::new().await;
    let (one, two) = (Point::new("CP1"), Point::new("CP2"));
    let session_id = SessionId::generate();
    world
        .change(vec![
            (1_001, one.row()),
            (1_002, two.row()),
            (1_003, charging(session_id, &two, world.driver, SessionState::Active)),
        ])
        .await;
    let mut driver = world.driver_socket().await;
    for topic in ["fleet", "station:CP1"] {
        let error = driver.ask(json!({"action": "subscribe", "topic": topic})).await;
        assert_eq!(error["data"]["type"], "/problems/forbidden");
    }
    let mut operator = world.operator_socket().await;
    let fleet = operator.ask(json!({"action": "subscribe", "topic": "fleet"})).await;
    assert_eq!(fleet["data"]["chargers"].as_array().map(Vec::len), Some(2));
    assert_eq!(fleet["data"]["sessions"][0]["session_id"], json!(session_id));
    let station = operator.ask(json!({"action": "subscribe", "topic": "station:CP1"})).await;
    assert_eq!(station["data"]["chargers"][0]["charger_id"], "CP1");
    assert_eq!(station["data"]["sessions"], json!([]));
    world.change(vec![(1_004, charging(session_id, &two, world.driver, SessionState::Failed))]).await;
    let said = operator.next().await;
    assert_eq!((&said["topic"], &said["type"]), (&"fleet".into(), &"session_failed".into()));
}

#[tokio::test]
async fn somebody_elses_session_is_unknown() {
    let world = World::new().await;
    let point = Point::new("CP1");
    let theirs = SessionId::generate();
    world
        .change(vec![(1_001, point.row()), (1_002, charging(theirs, &point, Uuid::now_v7(), SessionState::Active))])
        .await;
    let mut client = world.driver_socket().await;
    for topic in [format!("session:{theirs}"), format!("session:{}", SessionId::generate()), "session:x".to_owned()] {
        let error = client.ask(json!({"action": "subscribe", "topic": topic})).await;
        assert_eq!(error["data"]["type"], "/problems/session-unknown", "{topic}");
    }
    let (status, problem) = world.get(&world.driver_token().await, &format!("/api/sessions/{theirs}")).await;
    assert_eq!((status, &problem["type"]), (404, &"/problems/session-unknown".into()));
    assert_eq!(world.get(&world.operator_token().await, &format!("/api/sessions/{theirs}")).await.0, 200);
    let error = client.ask(json!({"action": "subscribe", "topic": "charger:nobody"})).await;
    assert_eq!(error["data"]["type"], "/problems/charger-unknown");
}

#[tokio::test]
async fn a_new_price_is_a_change_of_every_charger_it_holds_for() {
    let world = World::new().await;
    let (site_id, tariff_id) = (SiteId::generate(), TariffId::generate());
    let point = Point { site_id: Some(site_id), ..Point::new("CP1") };
    world
        .change(vec![(1_001, site(site_id, "North", None)), (1_002, tariff(tariff_id, "0.49")), (1_003, point.row())])
        .await;
    let mut client = world.driver_socket().await;
    let snapshot = client.ask(json!({"action": "subscribe", "topic": "charger:CP1"})).await;
    assert_eq!((&snapshot["data"]["site"]["name"], &snapshot["data"]["price"]), (&"North".into(), &json!(null)));
    assert_eq!(snapshot["data"]["position"], 1_003);

    world.change(vec![(1_004, site(site_id, "North", Some(tariff_id)))]).await;
    let update = client.next().await;
    assert_eq!(update["position"], 1_004);
    assert_eq!(update["data"]["price"]["per_kwh"], json!({"amount": "0.49", "currency": "EUR"}));

    world.change(vec![(1_005, tariff(tariff_id, "0.59")), (1_006, point.with(OutletStatus::Faulted).row())]).await;
    let update = client.next().await;
    assert_eq!((&update["position"], &update["data"]["position"]), (&1_006.into(), &1_006.into()));
    assert_eq!(update["data"]["price"]["per_kwh"]["amount"], "0.59");
    assert_eq!(update["data"], world.get(&world.driver_token().await, "/api/chargers/CP1").await.1);
}
