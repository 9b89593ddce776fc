//! What chargers report, and what is made of it.

use application::vault::MasterKey;
use chrono::{SecondsFormat, TimeDelta, Utc};
use domain::id::ChargePointId;
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::{Charger, Edge, Network, application, until};

fn now_and(seconds: i64) -> String {
    (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn start(timestamp: &str) -> Value {
    json!({"connectorId": 1, "idTag": "NOBODY", "meterStart": 1000, "timestamp": timestamp})
}

async fn network(charger: &str) -> (Network, Edge, ChargePointId) {
    let network = Network::new().await;
    let id = network.register(charger, None).await;
    let edge = Edge::start(&network.app).await;
    (network, edge, id)
}

/// Payload and metadata of the charger's newest event of a type.
async fn newest(network: &Network, id: ChargePointId, event_type: &str) -> (Value, Value) {
    let query = "SELECT payload::jsonb, metadata::jsonb FROM events WHERE partition_key = $1 AND event_type = $2
        ORDER BY position DESC LIMIT 1";
    let row = sqlx::query(query).bind(id.0).bind(event_type).fetch_one(network.database.pool()).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_charger_boots_charges_and_stops() {
    let (network, edge, id) = network("CP001").await;
    let mut charger = edge.charger("/ocpp/CP001").await;
    charger.boot().await;
    charger.status(0, "Available").await;
    charger.status(1, "Preparing").await;
    let now = now_and(0);
    let started = charger.call("StartTransaction", start(&now)).await;
    assert_eq!(started["idTagInfo"]["status"], "Invalid");
    let transaction_id = started["transactionId"].as_i64().unwrap();
    assert!(transaction_id > 0);
    let sampled = json!([{"value": "1250", "unit": "Wh"}]);
    let values = json!({"connectorId": 1, "transactionId": transaction_id,
        "meterValue": [{"timestamp": now, "sampledValue": sampled}]});
    assert_eq!(charger.call("MeterValues", values).await, json!({}));
    let stop =
        json!({"transactionId": transaction_id, "meterStop": 1500, "timestamp": now, "reason": "EVDisconnected"});
    assert_eq!(charger.call("StopTransaction", stop).await, json!({}));
    charger.status(1, "Available").await;
    charger.call("Heartbeat", json!({})).await;
    assert_eq!(charger.call("Authorize", json!({"idTag": "NOBODY"})).await["idTagInfo"]["status"], "Invalid");
    assert_eq!(charger.call("FirmwareStatusNotification", json!({"status": "Idle"})).await, json!({}));
    assert_eq!(charger.call("DiagnosticsStatusNotification", json!({"status": "Idle"})).await, json!({}));
    let transferred = charger.call("DataTransfer", json!({"vendorId": "Elmo", "data": "x"})).await;
    assert_eq!(transferred, json!({"status": "UnknownVendorId"}));
    charger.close().await;
    until(async || network.count_of("CP001", "ChargePointDisconnected").await == 1).await;
    let expected = [
        "ChargePointRegistered",
        "ChargePointConnected",
        "ChargePointBooted",
        "ConnectorStatusReported",
        "ConnectorStatusReported",
        "TransactionStarted",
        "MeterValuesRecorded",
        "TransactionEnded",
        "ConnectorStatusReported",
        "AuthorizationDecided",
        "FirmwareStatusReported",
        "DiagnosticsStatusReported",
        "DataTransferred",
        "ChargePointDisconnected",
    ];
    let mut events = network.events_of("CP001").await.into_iter();
    for event in expected {
        assert!(events.any(|present| present == event), "{event}");
    }
    // One trace, begun at the socket, for each message.
    let (_, started) = newest(&network, id, "TransactionStarted").await;
    let (_, stopped) = newest(&network, id, "TransactionEnded").await;
    let trace = |metadata: &Value| metadata["trace_id"].as_str().unwrap().to_owned();
    assert!(trace(&started).len() == 32 && trace(&started) != trace(&stopped));
    assert_eq!(started["device_at"], json!(now));
    edge.stop().await;
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_on_any_socket_and_after_a_restart() {
    let (network, edge, _) = network("CP001").await;
    let (begun, ended) = (now_and(-20), now_and(-5));
    let mut first = edge.charger("/CP001").await;
    let started = first.call("StartTransaction", start(&begun)).await;
    // Under another message id on the same socket, and on the next.
    assert_eq!(first.call("StartTransaction", start(&begun)).await, started);
    first.vanish();
    let mut second = edge.charger("/CP001").await;
    assert_eq!(second.call("StartTransaction", start(&begun)).await, started);
    let stop = json!({"transactionId": started["transactionId"], "meterStop": 1500, "timestamp": ended});
    let values = json!({"connectorId": 1, "transactionId": started["transactionId"],
        "meterValue": [{"timestamp": ended, "sampledValue": [{"value": "1400"}]}]});
    second.call("MeterValues", values.clone()).await;
    second.call("StopTransaction", stop.clone()).await;
    edge.stop().await;

    // Another process, which remembers nothing.
    let app = application(&network.database, MasterKey::new([7; 32])).await;
    let edge = Edge::start(&app).await;
    let mut third = edge.charger("/CP001").await;
    assert_eq!(third.call("StartTransaction", start(&begun)).await, started);
    assert_eq!(third.call("MeterValues", values).await, json!({}));
    assert_eq!(third.call("StopTransaction", stop).await, json!({}));
    for event in ["TransactionStarted", "MeterValuesRecorded", "TransactionEnded"] {
        assert_eq!(network.count_of("CP001", event).await, 1, "{event}");
    }
    // What is not the same is not a retry.
    let next = third.call("StartTransaction", start(&now_and(0))).await;
    assert_ne!(next["transactionId"], started["transactionId"]);
    edge.stop().await;
}

#[tokio::test]
async fn a_session_from_offline_keeps_its_times_and_says_so() {
    let (network, edge, id) = network("CP001").await;
    let mut charger = edge.charger("/CP001").await;
    let (begun, ended) = (now_and(-8 * 3600), now_and(-3600));
    let started = charger.call("StartTransaction", start(&begun)).await;
    let (event, _) = newest(&network, id, "TransactionStarted").await;
    let event = event.to_string();
    assert!(event.contains(begun.trim_end_matches('Z')) && event.contains("\"offline\""), "{event}");
    let reading = json!({"timestamp": ended, "sampledValue": [{"value": "9000"}]});
    let stop = json!({"transactionId": started["transactionId"], "meterStop": 9000, "timestamp": ended,
        "transactionData": [reading]});
    charger.call("StopTransaction", stop).await;
    let (event, _) = newest(&network, id, "TransactionEnded").await;
    assert!(event.to_string().contains(ended.trim_end_matches('Z')), "{event}");
    edge.stop().await;
}

#[tokio::test]
async fn a_stop_of_half_a_megabyte_is_taken() {
    let (network, edge, _) = network("CP001").await;
    let mut charger = edge.charger("/CP001").await;
    let started = charger.call("StartTransaction", start(&now_and(-7200))).await;
    let reading = |n: i64| {
        json!({"timestamp": now_and(n - 7000), "sampledValue": [
            {"value": format!("{}", 1000 + n), "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": "16.0", "context": "Sample.Periodic", "measurand": "Current.Import", "phase": "L1", "unit": "A"}]})
    };
    let readings: Vec<Value> = (0..2_000).map(reading).collect();
    let stop = json!({"transactionId": started["transactionId"], "meterStop": 3000, "timestamp": now_and(0),
        "transactionData": readings});
    assert!(stop.to_string().len() > 500_000);
    assert_eq!(charger.call("StopTransaction", stop).await, json!({}));
    assert!(network.count_of("CP001", "MeterValuesRecorded").await > 1);
    assert_eq!(network.count_of("CP001", "TransactionEnded").await, 1);
    // The connection goes on as before.
    charger.call("Heartbeat", json!({})).await;
    edge.stop().await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_acknowledged_and_kept_once() {
    let (network, edge, _) = network("CP001").await;
    let mut charger = edge.charger("/CP001").await;
    for _ in 0..2 {
        let stop = json!({"transactionId": "?", "meterStop": 1, "timestamp": "now"});
        assert_eq!(charger.call("StopTransaction", stop).await, json!({}));
    }
    assert_eq!(network.count_of("CP001", "ReportQuarantined").await, 1);
    charger.text("[2,\"a\",\"StopTransaction\",{\"transactionId\":7,}]").await;
    assert_eq!(charger.next().await, json!([3, "a", {}]));
    assert_eq!(network.count_of("CP001", "ReportQuarantined").await, 2);
    // Without any content it can't be said which transaction this is.
    assert_eq!(charger.error("[2,\"b\",\"StartTransaction\",{}]").await, "OccurenceConstraintViolation");
    assert_eq!(network.count_of("CP001", "ReportQuarantined").await, 3);
    edge.stop().await;
}

#[tokio::test]
async fn a_transaction_that_nobody_began_can_be_stopped() {
    let (network, edge, _) = network("CP001").await;
    let mut charger: Charger = edge.charger("/CP001").await;
    for transaction_id in [-1, 0, 4_000_000] {
        let stop = json!({"transactionId": transaction_id, "meterStop": 1500, "timestamp": now_and(-5)});
        for _ in 0..2 {
            assert_eq!(charger.call("StopTransaction", stop.clone()).await, json!({}), "{transaction_id}");
        }
    }
    assert_eq!(network.count_of("CP001", "TransactionEnded").await, 3);
    edge.stop().await;
}
