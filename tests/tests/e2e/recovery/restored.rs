//! A backup that is copied back while no process runs: of what was lost only Kafka knows.

use std::process::{Child, Command, Stdio};

use serde_json::json;
use tests::cluster::{Cluster, ClusterConfig, LogBy};
use tests::{MASTER_KEY, RawCharger, binary, eventually, free_port};

use super::{number, ready};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_process_that_starts_on_an_older_state_of_the_log_appends_nothing() {
    const BACK: i64 = 2;
    let prefix = embedded_kafka::testing::topic_prefix();
    let config = ClusterConfig::new("restored").by(LogBy::Kafka).set("COULOMB_KAFKA_TOPIC_PREFIX", prefix.clone());
    let mut cluster = Cluster::start(config).await;
    let charger = cluster.network.charger().await;
    let mut charger = RawCharger::connect(&cluster.network, &charger).await;
    charger.boot().await;
    for number in 0..4 {
        let start = json!({"connectorId": 1, "idTag": format!("TAG{number}"), "meterStart": 0,
            "timestamp": "2026-03-01T10:00:00Z"});
        let started = charger.ask("StartTransaction", start).await;
        let stop = json!({"transactionId": started["transactionId"], "meterStop": 10,
            "timestamp": "2026-03-01T10:10:00Z"});
        charger.ask("StopTransaction", stop).await;
    }
    let Cluster { edges, commands, projections, realtimes, .. } = &mut cluster;
    edges.iter_mut().chain(commands).chain(projections).chain(realtimes).for_each(|node| node.kill());
    let database = cluster.database.pool();
    let head = eventually("all to be in Kafka", || async {
        let all = "SELECT CASE WHEN coalesce((SELECT max(position) FROM relay), 0) = position THEN position ELSE 0 END \
                   FROM log_head";
        Some(number(database, all).await).filter(|head| *head > 0)
    })
    .await;
    cluster.relays.iter_mut().for_each(|node| node.kill());
    let older = format!(
        "UPDATE log_head SET position = position - {BACK};
         UPDATE relay SET position = position - {BACK};
         DELETE FROM events USING log_head h WHERE events.position > h.position"
    );
    sqlx::raw_sql(&older).execute(database).await.expect("taken back");

    let port = free_port();
    let mut command = Command::new(binary::coulomb());
    command.args(["command-service", "--http", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("DATABASE_URL", cluster.database.url()).env("COULOMB_MASTER_KEY", MASTER_KEY);
    command.env("KAFKA_BROKERS", embedded_kafka::testing::brokers().await).env("COULOMB_KAFKA_TOPIC_PREFIX", prefix);
    let _process = Ended(command.spawn().expect("it runs"));
    let said = eventually("it to say what is lost", || async {
        let (status, said) = ready(port).await?;
        (status == 503 && said.contains("coulomb log recover")).then_some(said)
    })
    .await;
    let range = format!("lacks positions {} to {head}, {BACK} events that Kafka has", head - BACK + 1);
    assert!(said.contains(&range), "{range}: {said}");
    assert_eq!(number(database, "SELECT position FROM log_head").await, head - BACK, "nothing is appended");
    assert_eq!(number(database, "SELECT generation FROM log_head").await, 1);
}
