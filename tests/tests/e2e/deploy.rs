//! What is in `docker`, by the tools that will read it: each part of `scripts/check-deploy` is a test.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::{MASTER_KEY, ProgramBuilder, binary, logs};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a room of the workspace")
}

/// # Panics
/// When it did not end well; with what it said.
fn ended_well(Output { status, stdout, stderr }: Output) -> String {
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{stdout}{stderr}");
    stdout
}

/// # Panics
/// When the part is not as it should be; with what the tool says.
fn passes(part: &str) {
    ended_well(Command::new(root().join("scripts/check-deploy")).arg(part).output().expect("bash runs"));
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfile() {
    passes("dockerfile");
}

#[test]
fn compose_loads_its_files() {
    passes("compose");
}

#[test]
fn manifests_are_valid_and_what_they_refer_to_is_there() {
    passes("kubernetes");
}

#[test]
fn nginx_routes_and_tries_again_what_may_be() {
    passes("nginx");
}

#[test]
fn each_alert_fires_when_it_should() {
    passes("prometheus");
}

#[test]
fn rules_and_dashboards_ask_for_what_is_recorded() {
    passes("queries");
}

#[test]
fn variables_that_are_set_are_read() {
    passes("settings");
}

#[test]
fn a_standby_is_made_promoted_and_made_again() {
    passes("postgres");
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    passes("scripts");
}

#[tokio::test]
async fn processes_that_are_killed_behind_nginx_fail_no_command() {
    let said = restarted("killed").await;
    assert!(said["restarted"].as_u64() > Some(4), "{said}");
}

/// As a new version is brought in: one after the other is asked to end, and started again.
#[tokio::test]
async fn processes_that_are_exchanged_behind_nginx_fail_no_command_and_let_none_wait() {
    let said = restarted("exchanged").await;
    assert!(said["restarted"].as_u64() > Some(4), "{said}");
    assert!(said["slowest_s"].as_f64() < Some(10.0), "{said}");
}

/// What `tests/deploy/restarts.py` says: processes behind the nginx that is shipped are restarted under load.
async fn restarted(how: &str) -> Value {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let migrate = ProgramBuilder::new(&["migrate"], 0, logs(&format!("restarts-{how}-migrate")));
    migrate.env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", MASTER_KEY).run().await;

    let mut script = tokio::process::Command::new("python3");
    script.arg(root().join("tests/deploy/restarts.py")).arg(binary::coulomb()).arg(how);
    script.env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", MASTER_KEY).kill_on_drop(true);
    let said = ended_well(script.output().await.expect("Python runs"));

    let said: Value = serde_json::from_str(&said).expect("it speaks JSON");
    assert_eq!(said["problems"], serde_json::json!([]), "{said}");
    // What was answered is in the log, each command once.
    let pool = sqlx::PgPool::connect(database.url()).await.expect("the database is there");
    let query = "SELECT count(*) FROM events WHERE event_type = 'ChargePointRegistered'";
    let registered: i64 = sqlx::query_scalar(query).fetch_one(&pool).await.expect("the log can be read");
    assert_eq!(said["answers"]["POST 202"].as_i64(), Some(registered), "{said}");
    said
}
