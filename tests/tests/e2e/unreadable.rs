//! What is recorded and can't be read is our fault and no outage: whoever asks is told so, and the log says where it is.

use serde_json::{Value, json};
use simulator::phone::Error;
use tests::log::Log;
use tests::{Network, RawCharger, logs, opening_refused, until};

#[tokio::test]
async fn a_history_that_cant_be_read_is_an_internal_error_with_its_place_in_the_log() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let log_file = logs("unreadable");
    let settings = [("COULOMB_LOG_FORMAT", "json")];
    let (network, program) = Network::start_on(database.url(), log_file.clone(), &settings).await;
    let registered = network.charger().await;
    let log = Log::open(database.url()).await;
    // The read models have it all: they are not what this is about.
    let last = log.events().await.last().expect("something has happened").position;
    let operator = network.operator().await;
    until(&operator, &format!("/api/chargers/{}?min_position={last}", registered.id), |_| true).await;
    program.stop();

    // As if a newer version had written it.
    let spoil = "UPDATE events SET event_version = event_version || '000' WHERE event_type = 'ChargePointRegistered' \
        RETURNING position, aggregate_id";
    let (position, stream): (i64, String) = sqlx::query_as(spoil).fetch_one(log.pool()).await.expect("there is one");
    let (network, _program) = Network::start_on(database.url(), log_file.clone(), &settings).await;
    let operator = network.operator().await;
    let path = format!("/api/chargers/{}/commands", registered.id);
    let reset = async || {
        let refused = operator.post(&path, &json!({"action": "Reset", "payload": {"type": "Soft"}}), None).await;
        match refused.expect_err("the charger is offline") {
            Error::Refused(problem) => problem,
            other => panic!("{other}"),
        }
    };
    let problem = reset().await;
    assert_eq!((problem.status, problem.code()), (500, "internal"), "{problem:?}");
    let status = opening_refused(&network, &registered.id, Some(&registered.password)).await;
    assert_eq!(status, 500, "its charger is told the same");

    let said = std::fs::read_to_string(&log_file).expect("it has a log");
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = lines.filter(|line| line["level"] == "ERROR");
    let errors: Vec<String> = errors.filter_map(|line| line["error"].as_str().map(str::to_owned)).collect();
    let names_it = |error: &&String| error.contains(&stream) && error.contains(&position.to_string());
    assert_eq!(errors.iter().filter(names_it).count(), 2, "once for each of the two: {errors:?}");

    // Mended, it is as before, and nothing has been remembered of it.
    let mend = "UPDATE events SET event_version = left(event_version, -3) WHERE event_type = 'ChargePointRegistered'";
    sqlx::query(mend).execute(log.pool()).await.expect("it can be mended");
    log.close().await;
    assert_eq!(reset().await.code(), "charger-offline");
    RawCharger::connect(&network, &registered).await.boot().await;
}
