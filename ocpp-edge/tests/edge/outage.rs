//! While the log can't be written, nothing is acknowledged.

use std::time::Duration;

use ocpp_edge::Limits;
use serde_json::json;

use crate::support::{Closed, Edge, Network};

#[tokio::test]
async fn what_a_charger_keeps_is_not_answered_and_comes_again() {
    let network = Network::impatient().await;
    network.register("CP001", None).await;
    let limits = Limits {
        report_retry_for: Duration::from_millis(50),
        authorize_retry_for: Duration::from_millis(50),
        ..Limits::default()
    };
    let edge = Edge::start_limited(&network.app, limits).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;

    network.break_log().await;
    // A driver waits: an error at once is better than none.
    assert_eq!(charger.error(r#"[2,"a","Authorize",{"idTag":"NOBODY"}]"#).await, "InternalError");
    // Heartbeats are no history.
    charger.call("Heartbeat", json!({})).await;
    let stop = json!({"transactionId": 7, "meterStop": 1500, "timestamp": "2026-03-01T12:00:00Z"});
    charger.text(&json!([2, "b", "StopTransaction", stop]).to_string()).await;
    assert_eq!(charger.closed().await, Closed::With(1013));
    assert!(edge.try_charger("/CP001", Some("ocpp1.6"), None).await.is_err());

    network.mend_log().await;
    let mut charger = edge.charger("/CP001").await;
    assert_eq!(charger.call("StopTransaction", stop).await, json!({}));
    assert_eq!(network.count_of("CP001", "TransactionEnded").await, 1);
    edge.stop().await;
}
