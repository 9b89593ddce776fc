//! A log that lost its end: what a process says of it, what an operator types, and what becomes of a recovery that is killed.

mod lost_tail;
mod restored;

use std::process::{Child, Command, Output, Stdio};

use embedded_postgres::testing::TestDatabase;
use serde_json::Value;
use tests::cluster::{alone, migrated};
use tests::{MASTER_KEY, binary, eventually, free_port};

fn command(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::coulomb());
    command
        .args(arguments)
        .env("DATABASE_URL", database.url())
        .env("COULOMB_MASTER_KEY", MASTER_KEY)
        .env_remove("KAFKA_BROKERS");
    command
}

fn run(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(database, arguments).output().expect("it runs");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

/// None: it does not listen.
async fn ready(port: u16) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/ready")).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

async fn number(pool: &sqlx::PgPool, statement: &str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_what_to_type_and_a_killed_recovery_is_carried_on() {
    const LOST: i64 = 200_000;
    let database = migrated("recovery").await;
    let port = free_port();
    let program = alone("command-service", port, "recovery").env("DATABASE_URL", database.url()).start().await;
    let (code, said) = run(&database, &["log", "status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of generation 1, and takes events"), "{said}");
    let (code, said) = run(&database, &["log", "recover"]);
    assert!(code != Some(0) && said.contains("--upto") && said.contains("KAFKA_BROKERS"), "{said}");

    // As the relay's leader says it that has found more in Kafka.
    let stop = format!("SELECT log_stop('went_back', 1, position, position + {LOST}) FROM log_head");
    sqlx::query(&stop).execute(database.pool()).await.expect("halted");
    let said = eventually("it to be not ready", || async {
        let (status, said) = ready(port).await?;
        (status == 503).then_some(said)
    });
    let said = said.await;
    assert!(said.contains("200000 events that Kafka has") && said.contains("coulomb log recover"), "{said}");
    let (code, said) = run(&database, &["log", "status", "--json"]);
    let status: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (code, &status["state"], &status["lost_positions"]),
        (Some(2), &"halted".into(), &LOST.into()),
        "{said}"
    );

    let (code, said) = run(&database, &["log", "recover"]);
    assert!(code == Some(0) && said.contains("Lost: positions") && said.contains("Nothing was changed"), "{said}");
    let (code, said) = run(&database, &["log", "recover", "--at-most", "1000", "--yes"]);
    assert!(code != Some(0) && said.contains("--at-most 200000"), "{said}");
    assert_eq!(number(database.pool(), "SELECT count(*) FROM events WHERE event_type = 'PositionLost'").await, 0);

    let mut recovery: Child = command(&database, &["log", "recover", "--yes", "--reason", "a test"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let filled = "SELECT count(*) FROM events WHERE event_type = 'PositionLost'";
    eventually("some to be filled", || async { (number(database.pool(), filled).await > 0).then_some(()) }).await;
    recovery.kill().expect("it is killed");
    recovery.wait().expect("it ended");
    let left = LOST - number(database.pool(), filled).await;
    assert!(left > 0, "it was killed in the middle");
    let (code, said) = run(&database, &["log", "status"]);
    assert!(code == Some(2) && said.contains("lost positions are filled"), "{said}");
    assert_eq!(ready(port).await.expect("it answers").0, 503);

    let (code, said) = run(&database, &["log", "recover", "--yes"]);
    assert!(code == Some(0) && said.contains("Generation 2 has begun"), "{said}");
    assert_eq!(number(database.pool(), filled).await, LOST);
    assert_eq!(
        number(database.pool(), "SELECT count(*) FROM events").await,
        number(database.pool(), "SELECT position FROM log_head").await
    );
    let gaps = "SELECT count(*) FROM (SELECT sequence - lag(sequence) OVER (ORDER BY position) AS step FROM events \
                WHERE aggregate_type = 'Log') s WHERE step <> 1";
    assert_eq!(number(database.pool(), gaps).await, 0);
    eventually("it to be ready", || async { (ready(port).await?.0 == 200).then_some(()) }).await;
    let (code, said) = run(&database, &["log", "status"]);
    assert!(code == Some(0) && said.contains("generation 2") && said.contains("went_back"), "{said}");
    let (code, said) = run(&database, &["log", "recover", "--upto", "3"]);
    assert!(code != Some(0) && said.contains("is below the end of the log"), "{said}");
    program.stop();
}
