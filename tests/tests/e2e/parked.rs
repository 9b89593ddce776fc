//! A key that stands still is let go on by the command, however much waits.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{MASTER_KEY, Network, binary, eventually, logs, text, until};

/// More than two releases apply.
const WAITING: i64 = 25_000;

async fn projections(database_url: &str, arguments: &[&str]) -> Vec<Value> {
    told(database_url, &[&["projections"][..], arguments].concat()).await
}

/// The dead letters of charge points, by their states.
async fn dead_letters(database_url: &str) -> BTreeMap<String, i64> {
    let all = ["events", "dead-letters", "list", "--all", "--model", "charge_points", "--limit", "1000000"];
    let mut states = BTreeMap::new();
    for letter in told(database_url, &all).await {
        *states.entry(text(&letter["state"])).or_default() += 1;
    }
    states
}

async fn told(database_url: &str, arguments: &[&str]) -> Vec<Value> {
    let mut command = tokio::process::Command::new(binary::coulomb());
    command.args(arguments).arg("--json").kill_on_drop(true);
    command.env("DATABASE_URL", database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
    let output = command.output().await.expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[tokio::test]
async fn one_retry_applies_all_that_waits() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (network, program) = Network::start_on(database.url(), logs("parked"), &[]).await;
    network.charger().await;
    program.stop();
    let pool = database.pool();
    let last: i64 =
        sqlx::query_scalar(include_str!("parked.sql")).bind(WAITING).fetch_one(pool).await.expect("they are added");

    let (network, _program) = Network::start_on(database.url(), logs("parked"), &[]).await;
    let key = eventually("all to wait", || async {
        let parked = projections(database.url(), &["parked", "charge_points"]).await;
        let key = parked.into_iter().next()?;
        (key["waiting"] == WAITING).then_some(key)
    });
    let key = key.await["partition_key"].as_str().expect("an id").to_owned();
    assert_eq!(dead_letters(database.url()).await, BTreeMap::from([("waiting".to_owned(), WAITING)]));
    let mend = "UPDATE events SET event_version = '1' WHERE event_version = '77'";
    sqlx::query(mend).execute(pool).await.expect("it can be mended");

    let said = projections(database.url(), &["retry", &key, "--model", "charge_points"]).await;
    let waiting: Vec<_> = said.iter().map(|line| line["parked"]["waiting"].as_i64()).collect();
    assert_eq!(waiting, [Some(WAITING - 10_000), Some(WAITING - 20_000), None], "{said:?}");
    assert!(said.iter().all(|line| line["met"] == true));
    let end = said[2]["position"].as_i64().expect("a position");
    assert!(end > last);
    let operator = network.operator().await;
    let path = format!("/api/chargers/R-{WAITING}?min_position={end}");
    let charger = until(&operator, &path, |_| true).await;
    assert_eq!(charger["position"], end);
    // The commands have it parked too.
    let rest = projections(database.url(), &["retry", "--all"]).await;
    assert!(rest.iter().all(|line| line["met"] == true));
    assert_eq!(projections(database.url(), &["parked"]).await, Vec::<Value>::new());
    assert_eq!(dead_letters(database.url()).await, BTreeMap::from([("released".to_owned(), WAITING)]));
}
