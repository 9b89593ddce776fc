//! After a reconnection nobody knows how the outlets are, until the charger says so.

use serde_json::json;
use tests::{RawCharger, shared, until};

#[tokio::test]
async fn a_status_from_before_the_reconnection_is_unknown_until_it_is_asked_for() {
    let network = shared().await;
    let registered = network.charger().await;
    let operator = network.operator().await;
    let path = format!("/api/chargers/{}", registered.id);
    let charging = json!({"connectorId": 1, "errorCode": "NoError", "status": "Charging"});

    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    charger.ask("StatusNotification", charging.clone()).await;
    until(&operator, &path, |charger| charger["connectors"][0]["status"] == "charging").await;
    charger.close().await;
    let offline = until(&operator, &path, |charger| charger["online"] == false).await;
    assert_eq!((&offline["status"], &offline["connectors"][0]["status"]), (&json!("unknown"), &json!("unknown")));

    // It comes back without a boot, and says nothing of its outlets by itself.
    let mut charger = RawCharger::connect(network, &registered).await;
    charger.ask("Heartbeat", json!({})).await;
    let back = until(&operator, &path, |charger| charger["online"] == true).await;
    assert_eq!(back["connectors"][0]["status"], "unknown", "{back}");
    let asked = charger.asked("TriggerMessage").await;
    assert_eq!(asked[3]["requestedMessage"], "StatusNotification");
    charger.answer(&asked, json!({"status": "Rejected"})).await;
    // A refusal is tolerated: it tells when it likes.
    charger.ask("StatusNotification", charging).await;
    until(&operator, &path, |charger| charger["connectors"][0]["status"] == "charging").await;
}
