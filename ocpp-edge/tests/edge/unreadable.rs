//! What is recorded and can't be read: no reason to send a charger round and round.

use serde_json::{Value, json};

use crate::support::{Edge, Network};

fn stop(transaction_id: &Value) -> Value {
    json!({"transactionId": transaction_id, "meterStop": 1500, "timestamp": "2026-03-01T12:00:00Z"})
}

#[tokio::test]
async fn a_report_on_what_cant_be_read_is_an_internal_error_and_is_kept() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let start = json!({"connectorId": 1, "idTag": "NOBODY", "meterStart": 0, "timestamp": "2026-03-01T11:00:00Z"});
    let started = charger.call("StartTransaction", start).await;
    edge.stop().await;

    network.spoil("TransactionStarted").await;
    // Another process, which remembers nothing.
    let edge = Edge::start(&network.again().await).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let transaction_id = &started["transactionId"];
    for id in ["a", "b"] {
        let stop = json!([2, id, "StopTransaction", stop(transaction_id)]).to_string();
        assert_eq!(charger.error(&stop).await, "InternalError");
    }
    // It is served all the same, and what it reported is kept, once.
    charger.status(1, "Available").await;
    assert_eq!(network.count_of("CP001", "ReportQuarantined").await, 1);
    let kept = "SELECT payload::text FROM events WHERE event_type = 'ReportQuarantined'";
    let kept: String = sqlx::query_scalar(kept).fetch_one(network.database.pool()).await.unwrap();
    assert!(kept.contains("can't be understood"), "{kept}");

    network.mend("TransactionStarted").await;
    assert_eq!(charger.call("StopTransaction", stop(transaction_id)).await, json!({}));
    assert_eq!(network.count_of("CP001", "TransactionEnded").await, 1);
    edge.stop().await;
}

#[tokio::test]
async fn a_charger_whose_own_history_cant_be_read_is_told_that_it_is_not_its_fault() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    network.spoil("ChargePointRegistered").await;
    let edge = Edge::start(&network.again().await).await;
    let refused = edge.try_charger("/CP001", Some("ocpp1.6"), None).await;
    match refused.map(|_| ()).unwrap_err() {
        tokio_tungstenite::tungstenite::Error::Http(answer) => assert_eq!(answer.status(), 500),
        other => panic!("{other}"),
    }
    network.mend("ChargePointRegistered").await;
    edge.charger("/CP001").await.boot().await;
    edge.stop().await;
}
