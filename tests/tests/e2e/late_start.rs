//! A start that failed is not final: the transaction may come late.

use serde_json::json;
use tests::{Network, PythonCharger, logs, within};

#[tokio::test]
async fn a_transaction_that_comes_after_the_deadline_turns_the_failed_session_active() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("COULOMB_START_DEADLINE", "3")];
    let (network, _program) = Network::start_on(database.url(), logs("late-start"), &settings).await;
    let (registered, driver) = (network.charger().await, network.driver().await);
    let mut charger = PythonCharger::online(&network, &registered).await;

    let accepted = within("the start", driver.start(&registered.id, 1)).await.expect("a start is taken");
    let asked = charger.asked("RemoteStartTransaction").await;
    let failed = within("the deadline", driver.wait_for_session(&accepted, &["failed"])).await.expect("it fails");
    assert!(failed["failure"]["detail"].is_string(), "{failed}");
    // Somebody else could charge there now; nobody does.
    let start = json!({"connector_id": 1, "id_tag": asked["id_tag"], "meter_start": 0,
        "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.call("StartTransaction", start).await;
    assert_eq!(started["id_tag_info"]["status"], "Accepted");

    let session_id = accepted.session_id.as_deref().expect("a start has a session");
    let path = format!("/api/sessions/{session_id}");
    let active = tests::until(&driver.account, &path, |session| session["state"] == "active").await;
    assert_eq!(active["transaction_id"], started["transaction_id"].to_string());
    assert!(!active["flags"].as_array().expect("it is a list").is_empty(), "it is flagged: {active}");
    let key = format!("session:{session_id}");
    let held = driver.line.wait_for(|held| {
        let mine = held.topic("me").and_then(|me| me.resources.get(&key));
        mine.is_some_and(|session| session.data["state"] == "active")
    });
    within("the driver to see it", held).await.expect("the line is open");
}
