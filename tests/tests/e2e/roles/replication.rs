//! `/ready` says when a failover could lose something, and when commits hang for a standby that is gone.

use embedded_postgres::testing::Replicated;
use tests::eventually;

use super::*;

/// What `/ready` of a process says: its status, and what it says of replication, if anything.
async fn said(http: &str) -> (u16, Value, Option<String>) {
    let answer = reqwest::get(format!("{http}/ready")).await.expect("it answers");
    let status = answer.status().as_u16();
    let said: Value = answer.json().await.expect("JSON");
    let of_replication = said["degraded"]["replication"].as_str().map(str::to_owned);
    (status, said["status"].clone(), of_replication)
}

#[tokio::test]
async fn a_process_says_what_a_failover_may_lose_and_what_commits_wait_for() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let url = first.url();
    let migrate = ProgramBuilder::new(&["migrate"], 0, logs("replication-migrate"));
    migrate.env("DATABASE_URL", &*url).env("COULOMB_MASTER_KEY", MASTER_KEY).run().await;
    let port = free_port();
    let _process = alone("realtime-api", port, "replication").env("DATABASE_URL", &*url).start().await;
    let http = format!("http://127.0.0.1:{port}");
    // It goes on working either way, so it is asked: 200, whatever is degraded.
    let becomes = async |part: Option<&str>| {
        eventually(&format!("/ready to say {part:?}"), || async {
            let (status, state, of_replication) = said(&http).await;
            assert_eq!(status, 200, "{of_replication:?}");
            match (part, of_replication) {
                (Some(part), Some(why)) => (state == "degraded" && why.contains(part)).then_some(()),
                (None, None) => (state == "ready").then_some(()),
                _ => None,
            }
        })
        .await;
    };
    becomes(Some("a failover may lose what was acknowledged")).await;
    first.set("synchronous_standby_names", "*").await.expect("it is set");
    becomes(None).await;

    second.kill().await;
    becomes(Some("commits wait for a standby that is not there")).await;
    let metrics = reqwest::get(format!("{http}/metrics")).await.expect("metrics").text().await.expect("text");
    assert!(metrics.lines().any(|line| line == "coulomb_database_standbys_missing 1"), "it is counted");
    // As docs/deploy.md says for the time until there is one again.
    first.set("synchronous_standby_names", "").await.expect("it is set");
    becomes(None).await;
}
