//! Each role in a process of its own, on one database: what they know of each other is what is in it.

mod failover;
mod pooled;
mod replica;
mod replication;

use domain::session::SessionEvent;
use embedded_postgres::testing::TestDatabase;
use serde_json::{Value, json};
use simulator::phone::{LineEvent, Phone};
use tests::cluster::migrated;
use tests::log::{Log, is_dense_and_ordered};
use tests::{Charge, MASTER_KEY, Network, Program, ProgramBuilder, RawCharger, configured, free_port, logs, within};

const ROLES: [&str; 4] = ["ocpp-edge", "command-service", "projection-service", "realtime-api"];

/// The platform in four processes.
struct Roles {
    network: Network,
    projections: ProgramBuilder,
    realtime: ProgramBuilder,
    projection_service: Program,
    realtime_api: Program,
    _command_service: Program,
    _ocpp_edge: Program,
    /// Last: it goes when nobody uses it. None: it is somebody else's.
    _database: Option<TestDatabase>,
}

impl Roles {
    async fn start(name: &str) -> Self {
        let database = migrated(&format!("roles-{name}")).await;
        let environment = [("DATABASE_URL", database.url().to_owned())];
        let roles = Self::start_with(name, &environment, database.url()).await;
        Self { _database: Some(database), ..roles }
    }

    /// `looked_at`: where the test looks for what has become of it.
    async fn start_with(name: &str, environment: &[(&str, String)], looked_at: &str) -> Self {
        let (queries, commands, ocpp) = (free_port(), free_port(), free_port());
        let role = |role, http| {
            let builder = alone(role, http, name);
            environment.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
        };
        let projections = role("projection-service", free_port());
        let realtime = role("realtime-api", queries);
        let ocpp_edge = role("ocpp-edge", free_port()).env("COULOMB_OCPP_LISTEN", ocpp.to_string());
        Self {
            network: Network::apart(commands, queries, ocpp, looked_at),
            projection_service: projections.start().await,
            realtime_api: realtime.start().await,
            _command_service: role("command-service", commands).start().await,
            _ocpp_edge: ocpp_edge.start().await,
            projections,
            realtime,
            _database: None,
        }
    }

    /// What the log and the views say when all is over.
    async fn is_consistent(&self, session_id: &str, readings: usize) {
        let log = Log::open(&self.network.database_url).await;
        is_dense_and_ordered(&log.events().await);
        let events = log.session(session_id).await;
        let count = |wanted: fn(&SessionEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| matches!(event, SessionEvent::TransactionStarted(_))), 1);
        assert_eq!(count(|event| matches!(event, SessionEvent::MeterValuesRecorded(_))), readings);
        assert_eq!(count(|event| matches!(event, SessionEvent::TransactionEnded(_))), 1);
        log.views_equal_a_fresh_fold().await;
        log.close().await;
    }
}

/// A role that does not know yet which database it is on.
fn alone(role: &str, http: u16, name: &str) -> ProgramBuilder {
    let log = logs(&format!("roles-{name}-{role}"));
    let builder = configured(ProgramBuilder::new(&[role, "--http", &http.to_string()], http, log));
    builder.env("COULOMB_MASTER_KEY", MASTER_KEY)
}

#[tokio::test]
async fn a_charge_runs_through_four_processes() {
    let roles = Roles::start("charge").await;
    let network = &roles.network;
    let mut charge = Charge::begun(network, network.driver().await).await;
    let path = format!("{}?min_position={}", charge.path(), charge.accepted.position);
    let session = network.query(&charge.driver.account, &path).await.expect("its own start is seen by who asked");
    assert!(session["position"].as_i64() >= Some(charge.accepted.position), "{session}");
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    let metered = charge.seen(|session| session["energy_wh"] == 2500).await;
    assert_eq!(metered["cost"]["amount"], "1.25");
    charge.stop().await;
    charge.ended(network).await;
    roles.is_consistent(&charge.session_id, 1).await;
}

#[tokio::test]
async fn a_charge_goes_on_without_projections_and_is_seen_when_they_return() {
    let mut roles = Roles::start("projections").await;
    let network = roles.network.clone();
    let mut charge = Charge::begun(&network, network.driver().await).await;
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    charge.seen(|session| session["energy_wh"] == 2500).await;

    roles.projection_service.kill();
    charge.meter("2026-03-01T10:20:00Z", 4500).await;
    let stopped = charge.stop().await;
    // Who asks for what they did is told to come back, and never shown what was before.
    let path = format!("{}?min_position={}", charge.path(), stopped.position);
    let refusal = network.query(&charge.driver.account, &path).await.expect_err("nobody has projected it");
    assert_eq!((refusal.status, refusal.code()), (503, "position-not-reached"));
    let before = network.query(&charge.driver.account, &charge.path()).await.expect("what is known is answered");
    assert_eq!((&before["state"], &before["energy_wh"]), (&json!("active"), &json!(2500)));

    roles.projection_service = roles.projections.start().await;
    let ended = charge.ended(&network).await;
    assert!(ended["position"].as_i64() > Some(stopped.position), "{ended}");
    let readings = network.query(&charge.driver.account, &format!("{}/meter-values", charge.path())).await;
    let readings = readings.expect("its readings can be asked for");
    let mut registers: Vec<&Value> = readings["items"].as_array().expect("it is a list").iter().collect();
    registers.sort_by_key(|reading| reading["timestamp"].as_str());
    let registers: Vec<&Value> = registers.iter().map(|reading| &reading["sampled"][0]["value"]).collect();
    assert_eq!(registers, ["3500", "4500"]);
    roles.is_consistent(&charge.session_id, 2).await;
}

#[tokio::test]
async fn a_phone_resumes_at_a_new_realtime_api_where_the_killed_one_left_it() {
    let mut roles = Roles::start("realtime").await;
    let network = roles.network.clone();
    let account = network.customer(network.person(), None).await;
    let (line, mut telling) = network.telling_line(&account, &["me"]);
    let mut charge = Charge::begun(&network, Phone { account, line }).await;

    roles.realtime_api.kill();
    within("the line to be lost", async {
        while !matches!(telling.recv().await.expect("the line is open"), LineEvent::Lost { .. }) {}
    })
    .await;
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    roles.realtime_api = roles.realtime.start().await;
    charge.seen(|session| session["energy_wh"] == 2500).await;
    let first = within("an answer to the subscription", async {
        loop {
            let event = telling.recv().await.expect("the line is open");
            match event {
                LineEvent::Message { message, .. } if message["topic"] == "me" => return message,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(first["type"], "resumed", "{first}");

    charge.stop().await;
    charge.ended(&network).await;
    roles.is_consistent(&charge.session_id, 1).await;
}

#[tokio::test]
async fn a_role_is_refused_without_the_database_or_the_key_of_the_others() {
    let database = migrated("roles-refused").await;
    for role in ROLES {
        let ports = |name: &str| alone(role, free_port(), name).env("COULOMB_OCPP_LISTEN", free_port().to_string());
        let said = ports("nowhere").refused().await;
        assert!(said.contains(role) && said.contains("DATABASE_URL"), "{role}: {said}");

        let here = ports("refused").env("DATABASE_URL", database.url());
        here.start().await.stop();
        let other_key = ports("other-key").env("DATABASE_URL", database.url());
        let said = other_key.env("COULOMB_MASTER_KEY", "08".repeat(32)).refused().await;
        assert!(said.contains("COULOMB_MASTER_KEY"), "{role}: {said}");
        assert!(!said.contains(&"08".repeat(32)), "a key is never shown");
    }
}
