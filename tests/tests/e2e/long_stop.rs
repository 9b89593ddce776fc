//! A long session's StopTransaction brings all of its readings in one message.

use domain::session::SessionEvent;
use serde_json::json;
use tests::log::Log;
use tests::{PythonCharger, shared, text, until};

const CARD: &str = "LONGSTOP01";
const BYTES: usize = 500_000;

#[tokio::test]
async fn a_stop_of_half_a_megabyte_is_taken_whole() {
    let network = shared().await;
    let registered = network.charger().await;
    let driver = network.customer(network.person(), Some(CARD)).await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let start = json!({"connector_id": 1, "id_tag": CARD, "meter_start": 0, "timestamp": "2026-01-01T00:00:00Z"});
    let started = charger.call("StartTransaction", start).await;
    assert_eq!(started["id_tag_info"]["status"], "Accepted");
    let stop = json!({"transaction_id": started["transaction_id"], "meter_stop": 9000,
        "timestamp": "2026-01-08T00:00:00Z", "reason": "EVDisconnected", "bytes": BYTES});
    charger.order("long_stop", stop).await;
    // The connection has lived through it.
    charger.call("Heartbeat", json!({})).await;

    let transaction_id = started["transaction_id"].to_string();
    let is_it = |session: &serde_json::Value| {
        session["transaction_id"] == transaction_id.as_str() && session["state"] == "completed"
    };
    let sessions = until(&driver, "/api/sessions", |sessions| {
        sessions["items"].as_array().is_some_and(|sessions| sessions.iter().any(is_it))
    });
    let sessions = sessions.await;
    let session = sessions["items"].as_array().into_iter().flatten().find(|session| is_it(session));
    let session = session.expect("it was found");
    assert_eq!(session["energy_wh"], 9000);

    let log = Log::open(&network.database_url).await;
    let events = log.session(&text(&session["session_id"])).await;
    let readings = events.iter().map(|event| match event {
        SessionEvent::MeterValuesRecorded(recorded) => recorded.readings.len(),
        _ => 0,
    });
    // Each is some 150 bytes; the Python side counts them the same way.
    let readings: usize = readings.sum();
    assert!(readings > BYTES / 200, "{readings} readings");
    log.close().await;
}
