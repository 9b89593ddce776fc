//! A retry is known by its content: under another message id, on another socket, after a restart.

use domain::session::SessionEvent;
use serde_json::{Value, json};
use tests::log::Log;
use tests::{Network, RawCharger, Registered, eventually, logs};

fn start(connector: u32) -> Value {
    json!({"connectorId": connector, "idTag": "RETRY0001", "meterStart": 100, "timestamp": "2026-03-01T10:00:00Z"})
}

fn readings(transaction_id: i64) -> Value {
    json!({"connectorId": 1, "transactionId": transaction_id, "meterValue": [
        {"timestamp": "2026-03-01T10:10:00Z", "sampledValue": [{"value": "600"}]}]})
}

fn stop(transaction_id: i64) -> Value {
    json!({"transactionId": transaction_id, "meterStop": 1100, "timestamp": "2026-03-01T10:20:00Z",
        "idTag": "RETRY0001", "reason": "Local"})
}

/// Everything again, as a charger does that saw no answer: the answers are the first ones.
async fn said_again(charger: &mut RawCharger, first: &[(&str, Value, Value)]) {
    for (action, payload, answer) in first {
        assert_eq!(&charger.ask(action, payload.clone()).await, answer, "{action}");
    }
}

#[tokio::test]
async fn the_same_again_gets_the_first_answer_and_changes_nothing() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (network, program) = Network::start_on(database.url(), logs("retries"), &[]).await;
    let registered = network.charger().await;
    network.customer(network.person(), Some("RETRY0001")).await;

    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;
    let mut first = vec![];
    let started = charger.ask("StartTransaction", start(1)).await;
    assert_eq!(started["idTagInfo"]["status"], "Accepted");
    let transaction_id = started["transactionId"].as_i64().expect("a transaction has an id");
    first.push(("StartTransaction", start(1), started));
    said_again(&mut charger, &first).await;
    let answer = charger.ask("MeterValues", readings(transaction_id)).await;
    first.push(("MeterValues", readings(transaction_id), answer));
    said_again(&mut charger, &first).await;

    // On a new socket, while the old one is still there.
    let mut second = RawCharger::connect(&network, &registered).await;
    said_again(&mut second, &first).await;
    let answer = second.ask("StopTransaction", stop(transaction_id)).await;
    assert_eq!(answer["idTagInfo"]["status"], "Accepted");
    first.push(("StopTransaction", stop(transaction_id), answer));
    said_again(&mut second, &first).await;

    program.kill();
    let (network, _program) = Network::start_on(database.url(), logs("retries"), &[]).await;
    let mut third = RawCharger::connect(&network, &registered).await;
    said_again(&mut third, &first).await;
    // The other outlet is another transaction.
    let other = third.ask("StartTransaction", start(2)).await;
    assert_ne!(other["transactionId"], transaction_id);

    let log = Log::open(database.url()).await;
    let session_id = the_session(&network, &registered, transaction_id).await;
    let events = log.session(&session_id).await;
    let count = |wanted: fn(&SessionEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, SessionEvent::TransactionStarted(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::MeterValuesRecorded(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::TransactionEnded(_))), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::SessionPriced { .. })), 1);
    log.close().await;
}

async fn the_session(network: &Network, registered: &Registered, transaction_id: i64) -> String {
    let operator = network.operator().await;
    let transaction_id = transaction_id.to_string();
    let path = format!("/api/sessions?charger_id={}", registered.id);
    eventually("the session", || async {
        let sessions = operator.get(&path).await.ok()?;
        let sessions = sessions["items"].as_array().expect("it is a list").clone();
        let found = sessions.into_iter().find(|session| session["transaction_id"] == transaction_id.as_str())?;
        found["session_id"].as_str().map(str::to_owned)
    })
    .await
}
