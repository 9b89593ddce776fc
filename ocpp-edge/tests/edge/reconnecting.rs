//! Statuses are unknown after a reconnect, until the charger has said them, by itself or asked.

use std::time::Duration;

use domain::id::{ConnectorNumber, Outlet};
use domain::outlet::OutletStatus;
use ocpp_edge::Limits;
use serde_json::{Value, json};

use crate::support::{Charger, Edge, Network};

async fn network() -> Network {
    let network = Network::new().await;
    network.register("CP001", None).await;
    network
}

/// It asks soon for what was not reported.
async fn asking_edge(network: &Network) -> Edge {
    let limits = Limits { stable_after: Duration::from_millis(20), ..Limits::default() };
    Edge::start_limited(&network.app, limits).await
}

async fn triggered(charger: &mut Charger) -> Value {
    let frame = charger.next().await;
    assert_eq!((&frame[0], &frame[2]), (&json!(2), &json!("TriggerMessage")), "{frame}");
    assert_eq!(frame[3]["requestedMessage"], "StatusNotification");
    frame
}

#[tokio::test]
async fn what_was_not_reported_is_asked_for() {
    let network = network().await;
    let edge = Edge::start(&network.app).await;
    let mut charger = edge.charger("/CP001").await;
    charger.status(1, "Charging").await;
    charger.status(2, "Available").await;
    charger.vanish();
    edge.stop().await;

    let edge = asking_edge(&network).await;
    let mut charger = edge.charger("/CP001").await;
    let outlet = |n| Outlet::of_v16_connector(ConnectorNumber::new(n).unwrap());
    charger.status(2, "Available").await;
    let charge_point = network.charge_point("CP001").await;
    assert_eq!(charge_point.status_of(outlet(1)), OutletStatus::Unknown);
    assert_eq!(charge_point.status_of(outlet(2)), OutletStatus::Available);

    // First all at once, then what is still missing.
    let frame = triggered(&mut charger).await;
    assert_eq!(frame[3].get("connectorId"), None);
    charger.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    charger.status(0, "Available").await;
    let frame = triggered(&mut charger).await;
    assert_eq!(frame[3]["connectorId"], 1);
    charger.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    charger.status(1, "Charging").await;
    assert_eq!(network.charge_point("CP001").await.status_of(outlet(1)), OutletStatus::Charging);
    // Nobody has asked for it: it is in no history.
    assert_eq!(network.count_of("CP001", "StationCommandRequested").await, 0);
    edge.stop().await;
}

#[tokio::test]
async fn one_that_does_not_know_the_question_is_not_asked_again() {
    let network = network().await;
    let edge = asking_edge(&network).await;
    let mut charger = edge.charger("/CP001").await;
    charger.status(1, "Charging").await;
    let frame = triggered(&mut charger).await;
    charger.text(&json!([4, frame[1], "NotImplemented", "", {}]).to_string()).await;
    charger.call("Heartbeat", json!({})).await;
    charger.vanish();

    let mut charger = edge.charger("/CP001").await;
    charger.call("Heartbeat", json!({})).await;
    let id = network.ask("CP001", domain::station_command::StationAction::ClearCache {}).await;
    assert_eq!(charger.next().await[2], "ClearCache", "{id}");
    edge.stop().await;
}
