//! Chargers that nobody has registered.

use serde_json::json;
use tests::{Network, RawCharger, Registered, logs, opening_refused, shared, until};

#[tokio::test]
async fn unknown_chargers_and_wrong_passwords_are_refused() {
    let network = shared().await;
    let registered = network.charger().await;
    assert_eq!(opening_refused(network, "NOBODY", None).await, 404);
    assert_eq!(opening_refused(network, "NOBODY", Some("password")).await, 404);
    assert_eq!(opening_refused(network, &registered.id, None).await, 401);
    assert_eq!(opening_refused(network, &registered.id, Some("wrong-password")).await, 401);
}

#[tokio::test]
async fn unknown_chargers_are_let_in_where_that_is_set() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("COULOMB_UNKNOWN_CHARGERS", "accept")];
    let (network, _program) = Network::start_on(database.url(), logs("unknown-chargers"), &settings).await;
    let stranger = Registered { id: "STRANGER".to_owned(), password: String::new() };
    let mut charger = RawCharger::connect(&network, &stranger).await;
    assert_eq!(charger.boot().await["status"], "Accepted");
    let available = json!({"connectorId": 1, "errorCode": "NoError", "status": "Available"});
    charger.ask("StatusNotification", available).await;
    let operator = network.operator().await;
    let seen = until(&operator, "/api/chargers/STRANGER", |charger| charger["status"] == "available").await;
    assert_eq!((&seen["vendor"], &seen["online"]), (&json!("Raw"), &json!(true)));
}
