//! Several processes append to one database.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use simulator::charger::{ChargerConfig, Journal};
use simulator::town::{Pace, ResidentConfig, Town, TownConfig};
use tests::log::{Log, is_dense_and_ordered};
use tests::{Network, RawCharger, logs, within};

/// Charges in each of the processes.
const ACKNOWLEDGED_MIN: usize = 400;
const DRIVERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn positions_stay_dense_and_ordered_and_one_wins_each_outlet() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("COULOMB_START_DEADLINE", "10")];
    let (one, _first) = Network::start_on(database.url(), logs("appender-one"), &settings).await;
    let (other, _second) = Network::start_on(database.url(), logs("appender-other"), &settings).await;

    let journal = Arc::new(Journal::default());
    let mut towns = [town(&one, &journal, "A", 1).await, town(&other, &journal, "B", 2).await];
    let first = one_of_many_wins(&one, &other).await;
    tests::eventually("the towns to be busy", || async { (journal.len() > ACKNOWLEDGED_MIN).then_some(()) }).await;
    join_all(towns.iter_mut().map(Town::rest)).await;
    assert_eq!(journal.refused(), Vec::<String>::new());

    let log = Log::open(database.url()).await;
    let events = log.events().await;
    is_dense_and_ordered(&events);
    let claims = events.iter().filter(|event| event.event_type == "EvseClaimed" && event.stream.id == first);
    assert_eq!(claims.count(), 1);
    log.views_equal_a_fresh_fold().await;
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(log.pool())
            .await
            .expect("Postgres counts them");
    assert_eq!(deadlocks, 0);
    log.close().await;
}

/// Drivers at both processes want one outlet at the same moment; the stream of its charger.
async fn one_of_many_wins(one: &Network, other: &Network) -> uuid::Uuid {
    let registered = one.charger_named("WANTED".to_owned()).await;
    let mut charger = RawCharger::connect(one, &registered).await;
    charger.boot().await;
    let mut drivers = vec![];
    for _ in 0..DRIVERS / 2 {
        drivers.push(one.driver_named("wants-one").await);
        drivers.push(other.driver_named("wants-other").await);
    }
    let starts = join_all(drivers.iter().map(|driver| driver.start_over_http("WANTED", 1)));
    let answers = within("all starts", starts).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(taken.len(), 1, "{refused:?}");
    for refusal in refused {
        assert_eq!(refusal.expect_err("it was refused").code(), Some("connector-occupied"));
    }
    let operator = one.operator().await;
    let seen = tests::until(&operator, "/api/chargers/WANTED", |charger| !charger["connectors"][0].is_null()).await;
    let evse_uid = tests::text(&seen["connectors"][0]["evse_uid"]);
    let (charge_point, _) = evse_uid.split_once('.').expect("an EVSE belongs to a charge point");
    uuid::Uuid::parse_str(charge_point).expect("a charge point's id is a UUID")
}

async fn town(network: &Network, journal: &Arc<Journal>, prefix: &str, seed: u64) -> Town {
    let mut chargers: Vec<ChargerConfig> = vec![];
    for number in 0..4 {
        let registered = network.charger_named(format!("{prefix}{number}")).await;
        chargers.push(ChargerConfig {
            witness: Some(journal.clone()),
            sample_interval: std::time::Duration::from_millis(200),
            boots_on_reconnect: number % 2 == 0,
            ..network.simulated(&registered)
        });
    }
    let mut residents = vec![];
    for _ in 0..4 {
        let person = network.person_named(&format!("resident-{prefix}"));
        network.customer(person.clone(), None).await;
        residents.push(ResidentConfig { person, card: None });
    }
    Town::spawn(TownConfig {
        http: network.http.clone(),
        ws: network.ws.clone(),
        chargers,
        residents,
        pace: Pace::hectic(),
        witness: None,
        seed,
    })
}

#[tokio::test]
async fn a_charger_that_moves_between_processes_is_one_charger() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (one, _first) = Network::start_on(database.url(), logs("mover-one"), &[]).await;
    let (other, _second) = Network::start_on(database.url(), logs("mover-other"), &[]).await;
    let registered = one.charger().await;
    let mut old = RawCharger::connect(&one, &registered).await;
    old.boot().await;
    let start = json!({"connectorId": 1, "idTag": "MOVER", "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"});
    let started = old.ask("StartTransaction", start.clone()).await;
    let mut new = RawCharger::connect(&other, &registered).await;
    new.boot().await;
    assert_eq!(new.ask("StartTransaction", start).await, started, "any node gives the first answer");
    // The old socket has lost the right to say anything: it is closed, at the latest when it speaks.
    let values = json!({"connectorId": 1, "transactionId": started["transactionId"], "meterValue": [
        {"timestamp": "2026-03-01T10:05:00Z", "sampledValue": [{"value": "10"}]}]});
    old.flood(&json!([2, "late", "MeterValues", values]).to_string(), 1).await;
    old.closed().await;
    let log = Log::open(database.url()).await;
    let late = log.events().await.into_iter().filter(|event| event.event_type == "MeterValuesRecorded").count();
    assert_eq!(late, 0, "what a fenced socket says is not recorded");
    new.ask("Heartbeat", json!({})).await;
    log.close().await;
}
