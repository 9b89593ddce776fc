//! What real chargers send, over the wire. Whatever one of them does, it is answered where that can be done, and
//! nobody else notices.

use futures_util::future::join_all;
use serde_json::{Value, json};
use simulator::phone::Account;
use tests::{Network, RawCharger, Registered, eventually, shared, until};

/// More than any charger may say at once, and a while after.
const FLOOD_MESSAGES: usize = 25_000;
/// More than one message may have.
const OVERSIZED_BYTES: usize = 1024 * 1024 + 1;

async fn online() -> (&'static Network, Registered, RawCharger) {
    let network = shared().await;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    (network, registered, charger)
}

fn start(connector: u32, tag: &str, meter: Value, timestamp: &str) -> Value {
    json!({"connectorId": connector, "idTag": tag, "meterStart": meter, "timestamp": timestamp})
}

/// The session of a transaction, as the operator sees it.
async fn session_of(network: &Network, registered: &Registered, transaction_id: &Value) -> Value {
    session_once(network, registered, transaction_id, |_| true).await
}

/// Whoever asserts more of it than what its first report says has to wait for that.
async fn session_once(
    network: &Network,
    registered: &Registered,
    transaction_id: &Value,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let operator = network.operator().await;
    let transaction_id = transaction_id.to_string();
    let wanted = |session: &Value| session["transaction_id"] == transaction_id.as_str() && is_so(session);
    session_when(&operator, registered, wanted).await
}

async fn session_when(operator: &Account, registered: &Registered, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/sessions?charger_id={}", registered.id);
    eventually("the session", || async {
        let sessions = operator.get(&path).await.ok()?;
        sessions["items"].as_array().into_iter().flatten().find(|session| wanted(session)).cloned()
    })
    .await
}

#[tokio::test]
async fn a_null_payload_is_an_empty_one() {
    let (_, _, mut charger) = online().await;
    let answer = charger.call("Heartbeat", Value::Null).await;
    assert!(answer[2]["currentTime"].is_string(), "{answer}");
}

#[tokio::test]
async fn an_unknown_action_is_not_implemented() {
    let (_, _, mut charger) = online().await;
    let answer = charger.call("MakeCoffee", json!({})).await;
    assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("NotImplemented")), "{answer}");
    charger.ask("Heartbeat", json!({})).await;
}

#[tokio::test]
async fn two_calls_in_flight_are_both_answered() {
    let (_, _, mut charger) = online().await;
    charger.text(json!([2, "one", "Heartbeat", {}]).to_string()).await;
    charger.text(json!([2, "two", "Authorize", {"idTag": "NOBODYS"}]).to_string()).await;
    assert_eq!(charger.answer_to("one").await[0], 3);
    assert_eq!(charger.answer_to("two").await[2]["idTagInfo"]["status"], "Invalid");
}

#[tokio::test]
async fn message_ids_may_be_used_again() {
    let (_, _, mut charger) = online().await;
    for status in ["Available", "Preparing", "Available"] {
        let payload = json!({"connectorId": 1, "errorCode": "NoError", "status": status});
        assert_eq!(charger.call_as("same", "StatusNotification", payload).await, json!([3, "same", {}]));
    }
    // Even while the first is under way, and for another action.
    charger.text(json!([2, "same", "Authorize", {"idTag": "NOBODYS"}]).to_string()).await;
    charger.text(json!([2, "same", "Heartbeat", {}]).to_string()).await;
    let answers = [charger.answer_to("same").await, charger.answer_to("same").await];
    assert!(answers.iter().any(|answer| answer[2]["currentTime"].is_string()), "{answers:?}");
    assert!(answers.iter().any(|answer| answer[2]["idTagInfo"].is_object()), "{answers:?}");
}

#[tokio::test]
async fn a_charger_that_offers_no_subprotocol_is_let_in() {
    let network = shared().await;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect_with(network, &registered, None).await;
    assert_eq!(charger.subprotocol, None, "a name must not be answered that was not offered");
    assert_eq!(charger.boot().await["status"], "Accepted");
}

#[tokio::test]
async fn a_half_open_socket_keeps_nobody_out_and_its_late_close_changes_nothing() {
    let (network, registered, old) = online().await;
    let half_open = old.hang();
    let mut new = RawCharger::connect(network, &registered).await;
    new.boot().await;
    let available = json!({"connectorId": 1, "errorCode": "NoError", "status": "Available"});
    new.ask("StatusNotification", available).await;
    drop(half_open);
    new.ask("Heartbeat", json!({})).await;
    let faulted = json!({"connectorId": 2, "errorCode": "GroundFailure", "status": "Faulted"});
    new.ask("StatusNotification", faulted).await;
    let operator = network.operator().await;
    let path = format!("/api/chargers/{}", registered.id);
    let charger = until(&operator, &path, |charger| charger["connectors"][1]["status"] == "faulted").await;
    assert_eq!((&charger["online"], &charger["connectors"][0]["status"]), (&json!(true), &json!("available")));
}

#[tokio::test]
async fn transactions_of_an_offline_start_are_taken_whatever_they_are_called() {
    let (network, registered, mut charger) = online().await;
    for transaction_id in [0, -1, -77] {
        let values = json!({"connectorId": 1, "transactionId": transaction_id, "meterValue": [
            {"timestamp": "2026-03-01T10:00:00Z", "sampledValue": [{"value": "10"}]}]});
        assert_eq!(charger.ask("MeterValues", values).await, json!({}));
        let stop = json!({"transactionId": transaction_id, "meterStop": 20, "timestamp": "2026-03-01T11:00:00Z"});
        assert_eq!(charger.ask("StopTransaction", stop.clone()).await, json!({}));
        assert_eq!(charger.ask("StopTransaction", stop).await, json!({}));
        let over = |session: &Value| session["state"] == "completed";
        let session = session_once(network, &registered, &json!(transaction_id), over).await;
        assert!(!session["flags"].as_array().expect("it is a list").is_empty(), "it is for people to look at");
    }
}

#[tokio::test]
async fn a_stop_of_an_unknown_transaction_is_acknowledged() {
    let (network, registered, mut charger) = online().await;
    let stop = json!({"transactionId": 2_000_000_000, "meterStop": 20, "timestamp": "2026-03-01T11:00:00Z"});
    assert_eq!(charger.ask("StopTransaction", stop).await, json!({}));
    session_of(network, &registered, &json!(2_000_000_000)).await;
    // Nor is one refused that says nearly nothing.
    assert_eq!(charger.ask("StopTransaction", json!({"meterStop": "x"})).await, json!({}));
    assert_eq!(charger.ask("StopTransaction", Value::Null).await, json!({}));
}

#[tokio::test]
async fn garbage_is_answered_where_it_can_be_and_never_closes_the_socket() {
    let (_, _, mut charger) = online().await;
    for garbage in
        ["", "hello", "{}", "[]", "[2]", "[9,\"a\",{}]", "[3,\"never-asked\",{}]", "[4,\"never-asked\"]", "\u{0}"]
    {
        charger.text(garbage).await;
    }
    charger.text("[2,\"readable\"]").await;
    assert_eq!(charger.answer_to("readable").await[0], 4);
    charger.text("[2,\"cut\",\"Heartbeat\",{\"a\":").await;
    charger.ask("Heartbeat", json!({})).await;
}

#[tokio::test]
async fn fields_are_taken_as_chargers_send_them() {
    let (network, registered, mut charger) = online().await;
    let boot = json!({"chargePointVendor": "", "chargePointModel": "A model with a name of more than 20",
        "chargePointSerialNumber": "a-serial-number-of-34-characters--", "iccid": "", "unknown": {"a": [1]}});
    assert_eq!(charger.ask("BootNotification", boot).await["status"], "Accepted");
    let tag = "ATAGOF21CHARACTERS-21";
    assert_eq!(charger.ask("Authorize", json!({"idTag": tag})).await["idTagInfo"]["status"], "Invalid");
    let started = charger.ask("StartTransaction", start(1, tag, json!(10.0), "2026-03-01T10:00:00")).await;
    let transaction_id = &started["transactionId"];
    assert!(transaction_id.as_i64().is_some_and(|id| id > 0), "also who is not authorised: it did happen");
    let values = json!({"connectorId": 1, "transactionId": transaction_id, "meterValue": [
        {"timestamp": "2026-03-01T10:05:00", "sampledValue": [
            {"value": "20", "context": "", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": "8.1", "measurand": "X-Vendor.Thing", "unit": "Celcius"}]}]});
    assert_eq!(charger.ask("MeterValues", values).await, json!({}));
    session_once(network, &registered, transaction_id, |session| session["energy_wh"] == 10).await;
}

#[tokio::test]
async fn a_clock_that_begins_in_1970_is_not_believed() {
    let (network, registered, mut charger) = online().await;
    let started = charger.ask("StartTransaction", start(1, "NOBODYS", json!(0), "1970-01-01T00:00:07Z")).await;
    let again = charger.ask("StartTransaction", start(1, "NOBODYS", json!(0), "1970-01-01T00:00:07Z")).await;
    assert_eq!(started, again, "it is the retry of the open one");
    let session = session_of(network, &registered, &started["transactionId"]).await;
    let at = session["started_at"].as_str().unwrap_or("2026");
    assert!(!at.starts_with("1970"), "{session}");
}

#[tokio::test]
async fn a_start_that_is_not_authorised_leaves_the_running_transaction_alone() {
    let (network, registered, mut charger) = online().await;
    network.customer(network.person(), Some("RUNNING01")).await;
    let running = charger.ask("StartTransaction", start(1, "RUNNING01", json!(0), "2026-03-01T10:00:00Z")).await;
    assert_eq!(running["idTagInfo"]["status"], "Accepted");
    let other = charger.ask("StartTransaction", start(1, "STRANGER1", json!(5), "2026-03-01T10:05:00Z")).await;
    assert_eq!(other["idTagInfo"]["status"], "Invalid");
    let values = json!({"connectorId": 1, "transactionId": running["transactionId"], "meterValue": [
        {"timestamp": "2026-03-01T10:06:00Z", "sampledValue": [{"value": "600"}]}]});
    charger.ask("MeterValues", values).await;
    let transaction_id = running["transactionId"].to_string();
    let operator = network.operator().await;
    let metered = |session: &Value| session["transaction_id"] == transaction_id.as_str() && session["energy_wh"] == 600;
    let session = session_when(&operator, &registered, metered).await;
    assert_eq!(session["state"], "active");
}

#[tokio::test]
async fn a_meter_that_ends_below_its_start_is_flagged_and_not_billed() {
    let (network, registered, mut charger) = online().await;
    network.customer(network.person(), Some("BACKWARDS1")).await;
    let started = charger.ask("StartTransaction", start(1, "BACKWARDS1", json!(5_000), "2026-03-01T10:00:00Z")).await;
    let stop = json!({"transactionId": started["transactionId"], "meterStop": 0, "timestamp": "2026-03-01T11:00:00Z"});
    charger.ask("StopTransaction", stop).await;
    let transaction_id = started["transactionId"].to_string();
    let operator = network.operator().await;
    let over =
        |session: &Value| session["transaction_id"] == transaction_id.as_str() && session["state"] == "completed";
    let session = session_when(&operator, &registered, over).await;
    assert!(!session["flags"].as_array().expect("it is a list").is_empty(), "{session}");
    assert_ne!(session["cost"]["amount"].as_str().map(|amount| amount.starts_with('-')), Some(true), "{session}");
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_a_reason_and_nobody_else_notices() {
    let (network, registered, charger) = online().await;
    let mut neighbours = vec![];
    for _ in 0..4 {
        let (_, _, charger) = online().await;
        neighbours.push(charger);
    }
    let talk = join_all(neighbours.iter_mut().map(|charger| async {
        for _ in 0..50 {
            charger.ask("Heartbeat", json!({})).await;
        }
    }));
    let breaking = async {
        let mut charger = charger;
        charger.binary(b"[2,\"1\",\"Heartbeat\",{}]".to_vec()).await;
        assert_eq!(charger.closed().await, Some(1003));
        let mut charger = RawCharger::connect(network, &registered).await;
        charger.text("x".repeat(OVERSIZED_BYTES)).await;
        assert_eq!(charger.closed().await, Some(1009));
        let mut charger = RawCharger::connect(network, &registered).await;
        // Nothing that is answered: nobody is there to read so many answers.
        charger.flood("hello", FLOOD_MESSAGES).await;
        assert_eq!(charger.closed().await, Some(1008));
        // It may come back.
        RawCharger::connect(network, &registered).await.boot().await;
    };
    tokio::join!(talk, breaking);
}
