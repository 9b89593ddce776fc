use owned_process::{OwnedProcess, State};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};

use super::{Database, Replication};
use crate::options::Options;
use crate::part::Part;
use crate::ports::Ports;

async fn connect(url: &str) -> PgConnection {
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("a URL");
    // PgBouncer knows of no such parameter.
    options.extra_float_digits(None).connect().await.expect("it takes connections")
}

/// As a pooler in transaction mode can carry it: without prepared statements.
async fn execute(url: &str, statement: &str) {
    let mut connection = connect(url).await;
    connection.execute(statement).await.expect("it is done");
    connection.close().await.expect("it closes");
}

fn state(database: &Database, number: u16) -> State {
    let process = database.process(Part::Postgres(number)).expect("known");
    process.map_or(State::Stopped, OwnedProcess::state)
}

async fn number(url: &str) -> i64 {
    let mut connection = connect(url).await;
    let row = connection.fetch_one("SELECT count(*) FROM kept").await.expect("a row");
    connection.close().await.expect("it closes");
    row.get(0)
}

#[tokio::test]
async fn a_promoted_replica_has_what_was_acknowledged_and_is_followed_by_the_old_primary() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("ours");
    let options = Options { ephemeral: true, ..Options::new(home.path(), "none") };
    let mut ports = Ports::load(home.path()).expect("none yet");
    let mut database = Database::start(home.path(), &options, &mut ports).await.expect("it starts");
    assert_eq!(database.replication().await, Replication::Synchronous);
    let url = database.url_for_roles();
    execute(&url, "CREATE TABLE kept (n int)").await;
    execute(&url, "INSERT INTO kept VALUES (1)").await;

    database.kill(Part::Postgres(1)).await.expect("it is killed");
    assert_eq!(state(&database, 1), State::Stopped);
    database.promote().await.expect("the replica takes over");
    assert_eq!(database.primary(), 2);
    execute(&url, "INSERT INTO kept VALUES (2)").await;
    assert_eq!(number(&url).await, 2);

    database.start_part(Part::Postgres(1)).await.expect("it follows");
    assert_eq!(database.replication().await, Replication::Synchronous);
    execute(&url, "INSERT INTO kept VALUES (3)").await;
    assert!(database.process(Part::Postgres(1)).expect("known").expect("it runs").freeze());
    assert_eq!(state(&database, 1), State::Frozen);
    database.promote().await.expect("a frozen replica is woken and takes over");
    assert_eq!(number(&url).await, 3);
    database.stop_all().await.expect("they stop");

    // The next start goes on with the primary of now.
    let mut database = Database::start(home.path(), &options, &mut ports).await.expect("it starts");
    assert_eq!(database.primary(), 1);
    assert_eq!(number(&database.url_for_roles()).await, 3);
    database.stop_all().await.expect("they stop");
}
