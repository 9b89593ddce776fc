//! What chargers are asked.

use std::time::Duration;

use application::Settings;
use domain::id::{ConnectorId, ConnectorNumber, EvseId, Outlet};
use domain::outlet::{Connector, Evse, OutletStatus};
use domain::station_command::{CommandState, StationAction};
use ocpp_edge::Limits;
use serde_json::{Value, json};

use crate::support::{Edge, Network, until};

/// The next call to the charger: its id, action and payload.
fn asked(frame: &Value) -> (String, &str, &Value) {
    assert_eq!(frame[0], json!(2), "{frame}");
    (frame[1].as_str().unwrap().to_owned(), frame[2].as_str().unwrap(), &frame[3])
}

async fn network(settings: Settings, limits: Limits) -> (Network, Edge) {
    let network = Network::with(settings).await;
    network.register("CP001", None).await;
    let edge = Edge::start_limited(&network.app, limits).await;
    (network, edge)
}

#[tokio::test]
async fn a_command_is_sent_and_its_outcome_recorded() {
    let (network, edge) = network(Settings::default(), Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let outlet = ConnectorNumber::MIN;
    #[rustfmt::skip]
    let table = [
        (StationAction::Reset { hard: false }, "Reset", json!([3, "?", {"status": "Accepted"}]), CommandState::Done),
        (StationAction::UnlockConnector { outlet }, "UnlockConnector", json!([3, "?", {"status": "UnlockFailed"}]), CommandState::Rejected),
        (StationAction::ClearCache {}, "ClearCache", json!([4, "?", "NotSupported", "no cache", {}]), CommandState::Failed),
        (StationAction::ClearCache {}, "ClearCache", json!([3, "?", {"status": "Perhaps"}]), CommandState::Failed),
        (StationAction::GetConfiguration { keys: vec![] }, "GetConfiguration", json!([3, "?", {"configurationKey": []}]), CommandState::Done),
    ];
    for (action, name, mut answer, state) in table {
        let command = network.ask("CP001", action).await;
        let frame = charger.next().await;
        let (id, action, _) = asked(&frame);
        assert_eq!(action, name);
        // Before the frame was written.
        assert_eq!(network.command(command).await.state, CommandState::Sent);
        answer[1] = json!(id);
        charger.text(&answer.to_string()).await;
        until(async || network.command(command).await.state == state).await;
    }
    assert!(network.charge_point("CP001").await.open_commands.is_empty());
    edge.stop().await;
}

#[tokio::test]
async fn grouped_connectors_keep_the_chargers_numbers() {
    let network = Network::new().await;
    let connector = |n| Connector { connector_id: ConnectorId(n), kind: None, max_power_w: None };
    let evses = vec![Evse { evse_id: EvseId(1), connectors: vec![connector(1), connector(2)] }];
    network.register_with("CP002", None, evses).await;
    let edge = Edge::start(&network.app).await;
    let mut charger = edge.charger("/CP002").await;
    charger.boot().await;
    charger.status(1, "Unavailable").await;
    charger.status(2, "Available").await;
    let charge_point = network.charge_point("CP002").await;
    assert_eq!(charge_point.evses.iter().map(|evse| evse.connectors.len()).collect::<Vec<_>>(), [2]);
    let of = |n| Outlet { evse_id: EvseId(1), connector_id: ConnectorId(n) };
    let statuses = [1, 2].map(|n| charge_point.status_of(of(n)));
    assert_eq!(statuses, [OutletStatus::Unavailable, OutletStatus::Available]);
    let start = json!({"connectorId": 2, "idTag": "NOBODY", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"});
    charger.call("StartTransaction", start).await;
    assert!(network.charge_point("CP002").await.claims.contains_key(&EvseId(1)));
    let outlet = ConnectorNumber::new(2).unwrap();
    network.ask("CP002", StationAction::UnlockConnector { outlet }).await;
    let frame = charger.next().await;
    assert_eq!(asked(&frame).2, &json!({"connectorId": 2}));
    edge.stop().await;
}

#[tokio::test]
async fn one_command_at_a_time() {
    let (network, edge) = network(Settings::default(), Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let first = network.ask("CP001", StationAction::Reset { hard: false }).await;
    let frame = charger.next().await;
    let second = network.ask("CP001", StationAction::ClearCache {}).await;
    // The charger's own calls go on meanwhile.
    charger.call("Heartbeat", json!({})).await;
    assert_eq!(network.command(second).await.state, CommandState::Requested);
    charger.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    let next = charger.next().await;
    assert_eq!(asked(&next).1, "ClearCache");
    assert_eq!(network.command(first).await.state, CommandState::Done);
    edge.stop().await;
}

#[tokio::test]
async fn nothing_physical_is_sent_twice() {
    let (network, edge) = network(Settings::default(), Limits::default()).await;
    let mut older = edge.charger("/CP001").await;
    older.boot().await;
    let sent = network.ask("CP001", StationAction::Reset { hard: true }).await;
    let waiting = network.ask("CP001", StationAction::ClearCache {}).await;
    let frame = older.next().await;
    assert_eq!(asked(&frame).1, "Reset");
    let mut newer = edge.charger("/CP001").await;
    newer.boot().await;
    // What was only requested is carried on; what was sent has failed.
    let frame = newer.next().await;
    assert_eq!(asked(&frame).1, "ClearCache");
    let lost = network.command(sent).await;
    assert_eq!(lost.state, CommandState::Failed);
    assert!(lost.reason.unwrap().contains("connection was lost"));
    newer.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    until(async || network.command(waiting).await.state == CommandState::Done).await;
    assert_eq!(network.count_of("CP001", "StationCommandSent").await, 2);
    edge.stop().await;
}

#[tokio::test]
async fn a_command_that_is_not_answered_fails_with_its_connection() {
    let (network, edge) = network(Settings::default(), Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let command = network.ask("CP001", StationAction::Reset { hard: true }).await;
    charger.next().await;
    charger.vanish();
    until(async || network.command(command).await.state == CommandState::Failed).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_command_that_is_not_answered_in_time_is_timed_out() {
    let settings = Settings { answer_timeout: chrono::TimeDelta::seconds(6), ..Settings::default() };
    let (network, edge) = network(settings, Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let command = network.ask("CP001", StationAction::Reset { hard: true }).await;
    let frame = charger.next().await;
    until(async || network.command(command).await.state == CommandState::TimedOut).await;
    // A late answer changes nothing.
    charger.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    charger.call("Heartbeat", json!({})).await;
    assert_eq!(network.command(command).await.state, CommandState::TimedOut);
    edge.stop().await;
}

#[tokio::test]
async fn a_charger_that_has_not_spoken_is_asked_after_a_while() {
    let limits = Limits { first_message_wait: Duration::from_millis(20), ..Limits::default() };
    let (network, edge) = network(Settings::default(), limits).await;
    let mut charger = edge.charger("/CP001").await;
    network.ask("CP001", StationAction::Reset { hard: true }).await;
    assert_eq!(asked(&charger.next().await).1, "Reset");
    edge.stop().await;
}
