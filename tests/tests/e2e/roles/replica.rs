//! Queries and snapshots come from a replica, as long as it is there and far enough.

use embedded_postgres::testing::Replicated;
use tests::eventually;

use super::*;

/// How many reads were answered so.
pub async fn reads(http: &str, answered_by: &str) -> f64 {
    let text = reqwest::get(format!("{http}/metrics")).await.expect("metrics").text().await.expect("text");
    let label = format!("coulomb_reads_total{{answered_by=\"{answered_by}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&label)).map_or(0.0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn a_replica_answers_while_it_is_there_and_far_enough() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let migrate = ProgramBuilder::new(&["migrate"], 0, logs("replica-migrate"));
    migrate.env("DATABASE_URL", first.url()).env("COULOMB_MASTER_KEY", MASTER_KEY).run().await;
    let environment = [("DATABASE_URL", first.url()), ("COULOMB_READ_DATABASE_URL", second.tcp_url_of("coulomb"))];
    let roles = Roles::start_with("replica", &environment, &first.url()).await;
    let network = &roles.network;
    let http = network.queries.clone();
    let mut charge = Charge::begun(network, network.driver().await).await;
    let account = charge.driver.account.clone();
    let path = charge.path();
    eventually("the replica to answer", || async {
        network.query(&account, &path).await.expect("it is known");
        (reads(&http, "replica").await > 0.0).then_some(())
    })
    .await;

    // Paused: what it has is old, and whoever knows of newer things gets those.
    second.ask("SELECT pg_wal_replay_pause()::text").await.expect("it pauses");
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    let metered = charge.seen(|session| session["energy_wh"] == 2500).await;
    let position = metered["position"].as_i64().expect("a position");
    let asked = network.query(&account, &format!("{path}?min_position={position}")).await.expect("it is known");
    assert_eq!(asked["energy_wh"], 2500, "the answer contains what was asked for");
    assert!(asked["position"].as_i64() >= Some(position), "{asked}");
    assert!(reads(&http, "primary, replica behind").await > 0.0);
    // A line that is opened now has nothing older either.
    let line = network.line(&account, &["me"]);
    let key = format!("session:{}", charge.session_id);
    let held = within("a snapshot", line.wait_for(|held| held.newest(&key).is_some())).await.expect("it is open");
    assert!(held.newest(&key).expect("it is held").data["position"].as_i64() >= Some(position));

    second.ask("SELECT pg_wal_replay_resume()::text").await.expect("it goes on");
    let before = reads(&http, "replica").await;
    eventually("the replica to answer again", || async {
        network.query(&account, &format!("{path}?min_position={position}")).await.expect("it is known");
        (reads(&http, "replica").await > before).then_some(())
    })
    .await;

    second.kill().await;
    charge.stop().await;
    charge.ended(network).await;
    assert!(reads(&http, "primary, replica gone").await > 0.0);
    roles.is_consistent(&charge.session_id, 1).await;
}
