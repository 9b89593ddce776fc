//! A charger that is not ours, through what OCPP 1.6 has besides a charge: what it kept and brings again, what it is asked,
//! what it notifies. Both sides' messages are checked against the official schemas by the package that it is made of.

use std::time::Duration;

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::session::SessionEvent;
use serde_json::{Value, json};
use simulator::phone::Account;
use tests::log::{Log, decoded};
use tests::{Network, PythonCharger, Registered, shared, text, until};

const CARD: &str = "INDEPENDENT1";

async fn sessions_of(network: &Network, registered: &Registered, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let operator = network.operator().await;
    let path = format!("/api/sessions?charger_id={}", registered.id);
    let found = until(&operator, &path, |sessions| sessions["items"].as_array().is_some_and(|items| wanted(items)));
    found.await["items"].as_array().expect("it is a list").clone()
}

/// What the log has of one charger, in its order.
async fn events_of(network: &Network, registered: &Registered) -> Vec<ChargePointEvent> {
    let log = Log::open(&network.database_url).await;
    let events = log.events().await;
    log.close().await;
    let of_charge_points = events.iter().filter_map(|recorded| match decoded(recorded) {
        Event::ChargePoint(event) => Some((recorded.stream, event.clone())),
        _ => None,
    });
    let of_charge_points: Vec<_> = of_charge_points.collect();
    let registration = of_charge_points.iter().find(|(_, event)| {
        matches!(event, ChargePointEvent::ChargePointRegistered(details) if details.identity.as_str() == registered.id)
    });
    let (stream, _) = registration.expect("it was registered");
    of_charge_points.iter().filter(|(of, _)| of == stream).map(|(_, event)| event.clone()).collect()
}

#[tokio::test]
async fn what_is_brought_again_after_a_reconnection_counts_once() {
    let network = shared().await;
    let registered = network.charger().await;
    network.customer(network.person(), Some(CARD)).await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let start = (
        "StartTransaction",
        json!({"connector_id": 1, "id_tag": CARD, "meter_start": 100,
        "timestamp": "2026-03-01T10:00:00Z"}),
    );
    let started = charger.call(start.0, start.1.clone()).await;
    assert_eq!(started["id_tag_info"]["status"], "Accepted");
    let transaction_id = &started["transaction_id"];
    let meter = (
        "MeterValues",
        json!({"connector_id": 1, "transaction_id": transaction_id, "meter_value": [
        {"timestamp": "2026-03-01T10:10:00Z", "sampled_value": [{"value": "600"}]}]}),
    );
    let stop = (
        "StopTransaction",
        json!({"transaction_id": transaction_id, "meter_stop": 1100,
        "timestamp": "2026-03-01T10:20:00Z", "id_tag": CARD, "reason": "Local"}),
    );

    // The answers of each connection are lost, so that the next one brings all of it again, and a little more.
    let kept = [start, meter, stop];
    let mut first: Vec<Value> = vec![];
    for reached in 1..=3 {
        charger.close().await;
        charger.connect(network, &registered).await;
        let answers = charger.call_all(&kept[..reached]).await;
        assert_eq!(answers[0], started);
        assert_eq!(answers[..first.len()], first, "what was answered once is answered so again");
        first = answers;
    }
    charger.close().await;
    charger.connect(network, &registered).await;
    assert_eq!(charger.call_all(&kept).await, first);

    let is_over = |sessions: &[Value]| sessions.iter().any(|session| session["state"] == "completed");
    let sessions = sessions_of(network, &registered, is_over).await;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!((&sessions[0]["energy_wh"], &sessions[0]["cost"]["amount"]), (&json!(1000), &json!("0.50")));
    let log = Log::open(&network.database_url).await;
    let events = log.session(&text(&sessions[0]["session_id"])).await;
    log.close().await;
    let count = |wanted: fn(&SessionEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, SessionEvent::TransactionStarted(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::MeterValuesRecorded(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::TransactionEnded(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::SessionPriced { .. })), 1);
}

/// Asks the charger for something as the operator does.
async fn command(operator: &Account, registered: &Registered, action: &str, payload: &Value) -> String {
    let path = format!("/api/chargers/{}/commands", registered.id);
    let body = json!({"action": action, "payload": payload});
    let accepted = operator.post(&path, &body, None).await.unwrap_or_else(|error| panic!("{action}: {error}"));
    text(&accepted["command_id"])
}

#[tokio::test]
async fn what_a_charger_is_asked_ends_as_it_answers() {
    let network = shared().await;
    let registered = network.charger().await;
    let operator = network.operator().await;
    let mut charger = PythonCharger::online(network, &registered).await;
    // Action and payload as the operator gives them, the payload as it comes to the charger, its answer, what comes of it.
    #[rustfmt::skip]
    let table = [
        ("Reset", json!({"type": "Soft"}), json!({"type": "Soft"}), json!({"status": "Accepted"}), "done"),
        ("Reset", json!({"type": "Hard"}), json!({"type": "Hard"}), json!({"status": "Rejected"}), "rejected"),
        ("UnlockConnector", json!({"connectorId": 2}), json!({"connector_id": 2}), json!({"status": "Unlocked"}), "done"),
        ("UnlockConnector", json!({"connectorId": 1}), json!({"connector_id": 1}), json!({"status": "UnlockFailed"}), "rejected"),
        ("ChangeAvailability", json!({"connectorId": 0, "type": "Inoperative"}),
            json!({"connector_id": 0, "type": "Inoperative"}), json!({"status": "Scheduled"}), "done"),
        ("ChangeAvailability", json!({"connectorId": 1, "type": "Operative"}),
            json!({"connector_id": 1, "type": "Operative"}), json!({"status": "Rejected"}), "rejected"),
        ("GetConfiguration", json!({"key": ["HeartbeatInterval", "Coffee"]}), json!({"key": ["HeartbeatInterval", "Coffee"]}),
            json!({"configuration_key": [{"key": "HeartbeatInterval", "readonly": false, "value": "300"}], "unknown_key": ["Coffee"]}), "done"),
        ("ChangeConfiguration", json!({"key": "HeartbeatInterval", "value": "60"}),
            json!({"key": "HeartbeatInterval", "value": "60"}), json!({"status": "RebootRequired"}), "done"),
        ("ChangeConfiguration", json!({"key": "Coffee", "value": "black"}),
            json!({"key": "Coffee", "value": "black"}), json!({"status": "NotSupported"}), "rejected"),
        ("TriggerMessage", json!({"requestedMessage": "MeterValues", "connectorId": 1}),
            json!({"requested_message": "MeterValues", "connector_id": 1}), json!({"status": "NotImplemented"}), "rejected"),
        ("TriggerMessage", json!({"requestedMessage": "Heartbeat"}),
            json!({"requested_message": "Heartbeat"}), json!({"status": "Accepted"}), "done"),
        ("ClearCache", json!({}), json!({}), json!({"status": "Accepted"}), "done"),
        ("ClearCache", json!({}), json!({}), json!("NotSupported"), "failed"),
    ];
    for (action, given, wanted, answer, state) in table {
        charger.answer_with(action, answer.clone()).await;
        let command_id = command(&operator, &registered, action, &given).await;
        // It may itself be asked for statuses meanwhile, which are no command.
        loop {
            let asked = charger.asked(action).await;
            if asked == wanted {
                break;
            }
            assert_eq!(asked["requested_message"], "StatusNotification", "{action}");
        }
        let is_over = |command: &Value| command["settled_at"].is_string();
        let settled = until(&operator, &format!("/api/commands/{command_id}"), is_over).await;
        assert_eq!(settled["state"], state, "{action} answered with {answer}: {settled}");
        assert_eq!(settled["reason"].is_string(), state != "done", "{settled}");
    }
}

#[tokio::test]
async fn a_command_that_is_not_answered_times_out_and_the_next_one_is_sent() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("COULOMB_CALL_TIMEOUT", "5"), ("COULOMB_HEARTBEAT_INTERVAL", "77")];
    let (network, _program) = Network::start_on(database.url(), tests::logs("call-timeout"), &settings).await;
    let registered = network.charger().await;
    let operator = network.operator().await;
    let mut charger = PythonCharger::start().await;
    charger.connect(&network, &registered).await;
    assert_eq!(charger.boot().await["interval"], 77, "it is told how often to be heard of");
    charger.answer_with("Reset", Value::Null).await;
    let unanswered = command(&operator, &registered, "Reset", &json!({"type": "Soft"})).await;
    let next = command(&operator, &registered, "ClearCache", &json!({})).await;
    charger.asked("Reset").await;
    for (command_id, state) in [(unanswered, "timed_out"), (next, "done")] {
        let path = format!("/api/commands/{command_id}");
        let settled = until(&operator, &path, |command| command["settled_at"].is_string()).await;
        assert_eq!(settled["state"], state, "{settled}");
    }
}

#[tokio::test]
async fn what_a_charger_notifies_is_recorded() {
    let network = shared().await;
    let registered = network.charger().await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let data = json!({"vendor_id": "com.example", "message_id": "mood", "data": "sunny"});
    let answers = charger
        .call_all(&[
            ("DataTransfer", data),
            ("DiagnosticsStatusNotification", json!({"status": "Uploading"})),
            ("DiagnosticsStatusNotification", json!({"status": "Uploaded"})),
            ("FirmwareStatusNotification", json!({"status": "Downloading"})),
            ("FirmwareStatusNotification", json!({"status": "Installed"})),
            ("Heartbeat", json!({})),
        ])
        .await;
    assert_eq!(answers[0]["status"], "UnknownVendorId", "nobody has named this vendor");
    assert!(answers[1..5].iter().all(|answer| *answer == json!({})), "{answers:?}");
    assert!(answers[5]["current_time"].is_string());

    let events = events_of(network, &registered).await;
    let told = events.iter().filter_map(|event| match event {
        ChargePointEvent::DataTransferred { vendor_id, message_id, .. } => {
            Some(format!("{vendor_id} {}", message_id.as_deref().unwrap_or_default()))
        }
        ChargePointEvent::DiagnosticsStatusReported { status } => Some(format!("diagnostics {status}")),
        ChargePointEvent::FirmwareStatusReported { status } => Some(format!("firmware {status}")),
        _ => None,
    });
    let wanted = [
        "com.example mood",
        "diagnostics Uploading",
        "diagnostics Uploaded",
        "firmware Downloading",
        "firmware Installed",
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

/// A charger that was offline brings eight hours of readings as fast as they are taken.
#[tokio::test]
async fn what_was_kept_offline_is_taken_at_once_and_all_of_it() {
    const READINGS: usize = 8 * 60;
    let network = shared().await;
    let registered = network.charger().await;
    network.customer(network.person(), Some("OFFLINE0001")).await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let began = chrono::Utc::now() - Duration::from_secs(9 * 3600);
    let at = |minute: usize| {
        let at = began + Duration::from_secs(60 * minute as u64);
        at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let start = json!({"connector_id": 1, "id_tag": "OFFLINE0001", "meter_start": 0, "timestamp": at(0)});
    let started = charger.call("StartTransaction", start).await;
    let reading = |minute: usize| {
        let values = json!([{"timestamp": at(minute), "sampled_value": [{"value": (minute * 100).to_string()}]}]);
        ("MeterValues", json!({"connector_id": 1, "transaction_id": started["transaction_id"], "meter_value": values}))
    };
    let stop = json!({"transaction_id": started["transaction_id"], "meter_stop": READINGS * 100,
        "timestamp": at(READINGS)});
    let kept: Vec<_> = (1..READINGS).map(reading).chain([("StopTransaction", stop)]).collect();
    charger.call_all(&kept).await;
    let is_over = |sessions: &[Value]| sessions.iter().any(|session| session["state"] == "completed");
    let sessions = sessions_of(network, &registered, is_over).await;
    assert_eq!(sessions[0]["energy_wh"], READINGS * 100);
    let log = Log::open(&network.database_url).await;
    let events = log.session(&text(&sessions[0]["session_id"])).await;
    log.close().await;
    let readings = events.iter().filter(|event| matches!(event, SessionEvent::MeterValuesRecorded(_))).count();
    assert_eq!(readings, READINGS - 1);
}
