//! A primary with a standby, and PgBouncer before a server.

use std::time::Duration;

use embedded_postgres::EmbeddedPostgres;
use embedded_postgres::testing::Replicated;
use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn a_standby_follows_is_promoted_when_the_primary_fails_and_can_be_followed_in_turn() {
    let mut pair = Replicated::start(true).await.expect("both start");
    let primary = pair.primary.take().expect("it was started");
    primary.ask("CREATE TABLE kept (n int)").await.expect("the primary writes");
    let synchronous = "SELECT sync_state FROM pg_stat_replication";
    for _ in 0..500 {
        if primary.ask(synchronous).await.expect("it answers") == "sync" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(primary.ask(synchronous).await.expect("it answers"), "sync");
    primary.ask("INSERT INTO kept VALUES (7)").await.expect("the primary writes");
    primary.freeze();
    let asked = tokio::time::timeout(Duration::from_millis(200), primary.ask("SELECT 1::text")).await;
    assert!(asked.is_err(), "a frozen server answers nothing");
    primary.thaw();
    primary.kill().await;

    let promoted = pair.standby.take().expect("it was started");
    assert!(promoted.ask("INSERT INTO kept VALUES (8)").await.is_err(), "a standby takes no writes");
    promoted.promote().await.expect("it is promoted");
    promoted.set("synchronous_standby_names", "").await.expect("it has no standby");
    promoted.ask("INSERT INTO kept VALUES (8)").await.expect("a primary takes writes");
    assert_eq!(promoted.ask("SELECT sum(n)::text FROM kept").await.expect("it answers"), "15");

    let returned = EmbeddedPostgres::start_standby(pair.options("first"), &promoted).await.expect("it follows");
    (pair.primary, pair.standby) = (Some(promoted), Some(returned));
    pair.caught_up().await.expect("it catches up");
    let returned = pair.standby.take().expect("it was started");
    assert_eq!(returned.ask("SELECT sum(n)::text FROM kept").await.expect("it answers"), "15");
}

#[tokio::test]
async fn pgbouncer_hands_out_few_connections_and_ends_with_its_owner() {
    let pair = Replicated::start(false).await.expect("both start");
    let primary = pair.primary.as_ref().expect("it was started");
    let bouncer = pair.pgbouncer(primary, 2).await.expect("PgBouncer starts");
    let options: sqlx::postgres::PgConnectOptions = bouncer.url_of("postgres").parse().expect("a URL");
    let mut connections = vec![];
    for _ in 0..8 {
        let options = options.clone().extra_float_digits(None);
        connections.push(PgConnection::connect_with(&options).await.expect("it takes more clients than servers"));
    }
    let mut backends = std::collections::BTreeSet::new();
    for connection in &mut connections {
        let row = connection.fetch_one("SELECT pg_backend_pid()::text AS pid").await.expect("it answers");
        backends.insert(sqlx::Row::get::<String, _>(&row, "pid"));
    }
    assert!(backends.len() <= 2, "{backends:?}");
    bouncer.stop().await;
    assert!(connections[0].ping().await.is_err(), "its connections are cut");
}
