use std::time::Duration;

use domain::id::SessionId;
use domain::outlet::OutletStatus;
use domain::session::SessionState;
use realtime_api::Limits;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Point, World, charging, site};

#[tokio::test]
async fn who_comes_back_gets_what_changed_and_what_left() {
    let world = World::new().await;
    let point = Point::new("CP1");
    let (over, open, untouched) = (SessionId::generate(), SessionId::generate(), SessionId::generate());
    let session = |id, state| charging(id, &point, world.driver, state);
    world
        .change(vec![
            (1_001, point.row()),
            (1_002, session(untouched, SessionState::Active)),
            (1_003, session(over, SessionState::Active)),
        ])
        .await;
    let mut client = world.driver_socket().await;
    let snapshot = client.ask(json!({"action": "subscribe", "topic": "me"})).await;
    assert_eq!(snapshot["upto"], 1_003);
    world
        .change(vec![(1_004, session(over, SessionState::Completed)), (1_005, session(open, SessionState::Requested))])
        .await;

    let mut back = world.driver_socket().await;
    let resumed =
        back.ask(json!({"action": "subscribe", "topic": "me", "since": 1_003, "generation": 1, "id": "r"})).await;
    assert_eq!((&resumed["type"], &resumed["id"], &resumed["generation"]), (&"resumed".into(), &"r".into(), &1.into()));
    let left = back.next().await;
    assert_eq!((&left["key"], &left["removed"]), (&format!("session:{over}").into(), &true.into()));
    let began = back.next().await;
    assert_eq!((&began["key"], &began["removed"]), (&format!("session:{open}").into(), &json!(null)));
    assert_eq!(began["upto"], 1_003, "not before all has been sent");
    let live = back.next().await;
    assert_eq!((&live["type"], &live["upto"]), (&"live".into(), &1_005.into()));
    world.change(vec![(1_006, session(open, SessionState::Active))]).await;
    assert_eq!(back.next().await["position"], 1_006);
}

#[tokio::test]
async fn what_cant_be_resumed_is_a_snapshot() {
    let world = World::new().await;
    let point = Point::new("CP1");
    world.change(vec![(1_001, point.row())]).await;
    let mut client = world.operator_socket().await;
    for (since, generation) in [(1_001, json!(2)), (9_999, json!(1)), (1_001, json!(null))] {
        let asked = json!({"action": "subscribe", "topic": "charger:CP1", "since": since, "generation": generation});
        assert_eq!(client.ask(asked).await["type"], "snapshot", "{since} {generation}");
    }
    let counted = world.metrics().await;
    let of = |line: &&str| line.starts_with("coulomb_realtime_positions_above_log_total") && line.contains("since");
    assert!(counted.lines().any(|line| of(&line)), "a position above the log is counted: {counted}");
    let resume = |since| json!({"action": "subscribe", "topic": "fleet", "since": since, "generation": 1});
    assert_eq!(client.ask(resume(1_001)).await["type"], "resumed");
    assert_eq!(client.next().await["type"], "live");
    // A site is a part of its chargers' faces.
    world.change(vec![(1_002, site(domain::id::SiteId::generate(), "North", None))]).await;
    world.reached(1_002).await;
    let mut other = world.operator_socket().await;
    assert_eq!(other.ask(resume(1_001)).await["type"], "snapshot");
}

/// A row that the tables have and the hub has not heard of yet is sent once, in its place.
#[tokio::test]
async fn a_row_ahead_of_the_hub_waits_for_it() {
    let world = World::new().await;
    let point = Point::new("CP1");
    world.change(vec![(1_001, point.row())]).await;
    let mut client = world.driver_socket().await;
    assert_eq!(client.ask(json!({"action": "subscribe", "topic": "charger:CP1"})).await["upto"], 1_001);
    let ahead = vec![(1_005, point.with(OutletStatus::Faulted).row())];
    world.write(&ahead).await;
    let mut late = world.driver_socket().await;
    late.say(json!({"action": "subscribe", "topic": "charger:CP1"})).await;
    world.tell(ahead);
    let snapshot = late.next().await;
    assert_eq!((&snapshot["upto"], &snapshot["data"]["position"]), (&1_005.into(), &1_005.into()));
    assert_eq!(client.next().await["position"], 1_005);
    world.change(vec![(1_006, point.row())]).await;
    assert_eq!(late.next().await["position"], 1_006);
}

/// A client that took it for a thing of the moment would show for ever what it had.
#[tokio::test]
async fn who_cant_be_answered_is_told_of_which_topic_nothing_comes() {
    let world = World::new().await;
    let point = Point::new("CP1");
    world.change(vec![(1_001, point.row())]).await;
    let mut client = world.driver_socket().await;
    assert_eq!(client.ask(json!({"action": "subscribe", "topic": "charger:CP1"})).await["upto"], 1_001);
    let unknown = client.ask(json!({"action": "subscribe", "topic": "charger:CP2", "id": 1})).await;
    assert_eq!(
        (&unknown["type"], &unknown["id"], &unknown["topic"]),
        (&json!("error"), &json!(1), &json!("charger:CP2"))
    );
    assert_eq!((&unknown["data"]["status"], &unknown["data"]["retry_after_s"]), (&json!(404), &json!(null)));

    let mut other = world.driver_socket().await;
    assert_eq!(other.ask(json!({"action": "subscribe", "topic": "charger:CP1"})).await["upto"], 1_001);

    // What the tables have, the hub has not heard of.
    let ahead = vec![(1_005, point.with(OutletStatus::Faulted).row())];
    world.write(&ahead).await;
    let again = json!({"action": "subscribe", "topic": "charger:CP1", "since": 1_001, "generation": 1, "id": 2});
    let behind = client.ask(again.clone()).await;
    assert_eq!((&behind["type"], &behind["id"], &behind["topic"]), (&json!("error"), &json!(2), &json!("charger:CP1")));
    assert_eq!((&behind["data"]["status"], &behind["data"]["retry_after_s"]), (&json!(503), &json!(5)));
    let counted = world.metrics().await;
    let refused = r#"coulomb_realtime_subscriptions_refused_total{code="unavailable"}"#;
    assert!(counted.lines().any(|line| line.starts_with(refused)), "{counted}");
    world.tell(ahead);
    assert_eq!(other.next().await["position"], 1_005);
    // Nothing comes of it, as it says.
    assert_eq!(client.ask(json!({"action": "ping"})).await["type"], "pong");
    assert_eq!(client.ask(again).await["type"], "resumed");
    assert_eq!(client.next().await["position"], 1_005);
    assert_eq!(client.next().await["type"], "live");
}

#[tokio::test]
async fn another_history_sends_everybody_for_a_snapshot() {
    let world = World::new().await;
    world.change(vec![(1_001, Point::new("CP1").row())]).await;
    let mut client = world.driver_socket().await;
    world.tell_generation(2, 900);
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1012);
    // All are sent away in the same moment, and are not to come back in one.
    let wait_ms = reason.strip_prefix("reconnect_after_ms=").and_then(|wait| wait.parse::<u128>().ok());
    assert!(wait_ms.is_some_and(|wait| wait <= Limits::default().drain_over.as_millis()), "{reason}");
    let mut back = world.driver_socket().await;
    let asked = json!({"action": "subscribe", "topic": "me", "since": 950, "generation": 1});
    let snapshot = back.ask(asked).await;
    assert_eq!(
        (&snapshot["type"], &snapshot["generation"], &snapshot["upto"]),
        (&"snapshot".into(), &2.into(), &900.into())
    );
}

/// As it is when a server has just been promoted. The feed says it once.
#[tokio::test]
async fn another_history_is_not_passed_over_while_the_tables_cant_be_read() {
    let world = World::new().await;
    let mut client = world.driver_socket().await;
    let rename = async |from: &str, to: &str| {
        let statement = format!("ALTER TABLE views.{from} RENAME TO {to}");
        sqlx::query(&statement).execute(world.pool()).await.expect("renamed");
    };
    rename("sites", "sites_away").await;
    let failures = async || {
        let counted = world.metrics().await;
        let count = counted.lines().find_map(|line| line.strip_prefix("coulomb_realtime_feed_failures_total "));
        count.map_or(0.0, |count| count.parse::<f64>().expect("a number"))
    };
    let before = failures().await;
    world.tell_generation(2, 900);
    let failed = async {
        while failures().await <= before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), failed).await.expect("it looks for what is not there");
    rename("sites_away", "sites").await;
    assert_eq!(client.closed().await.0, 1012);
}

/// What the client holds may never have been, though the position that it waits for is reached meanwhile.
#[tokio::test]
async fn a_position_that_another_history_reaches_is_not_resumed_from() {
    let world = World::new().await;
    world.change(vec![(1_001, Point::new("CP1").row())]).await;
    world.log_is_at(1_005).await;
    let mut client = world.driver_socket().await;
    client.say(json!({"action": "subscribe", "topic": "me", "since": 1_005, "generation": 1})).await;
    // It waits for the views.
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.tell_generation(2, 1_005);
    let mut kinds = vec![];
    while let Message::Text(text) = client.receive().await {
        kinds.push(serde_json::from_str::<Value>(&text).expect("JSON")["type"].clone());
    }
    assert!(!kinds.contains(&json!("resumed")), "{kinds:?}");
}
