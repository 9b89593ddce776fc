use serde_json::json;

use crate::support::{Edge, Network, until};

#[tokio::test]
async fn a_charger_boots_charges_and_stops() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    let mut charger = edge.charger("/ocpp/CP001").await;
    charger.boot().await;
    charger.status(0, "Available").await;
    charger.status(1, "Preparing").await;
    let now = chrono::Utc::now().to_rfc3339();
    let start = json!({"connectorId": 1, "idTag": "NOBODY", "meterStart": 1000, "timestamp": now});
    let started = charger.call("StartTransaction", start).await;
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
    charger.close().await;
    until(async || network.count_of("CP001", "ChargePointDisconnected").await == 1).await;
    let events = network.events_of("CP001").await;
    println!("{events:?}");
    edge.stop().await;
}
