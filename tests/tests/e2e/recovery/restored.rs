//! A backup that is copied back while no process runs: of what was lost only Kafka knows, or whoever was told a position.

use std::process::{Child, Command, Output, Stdio};

use domain::event::Event;
use domain::log::LogEvent;
use embedded_postgres::testing::TestDatabase;
use schema::log::Position;
use serde_json::{Value, json};
use simulator::phone::Phone;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tests::cluster::{Cluster, ClusterConfig, LogBy, Node, alone, migrated};
use tests::log::{Log, decoded, is_dense_and_ordered};
use tests::{
    Charge, MASTER_KEY, Network, RawCharger, binary, eventually, free_port, opening_refused, operator, until, within,
};

use super::{number, ready};

const CARD: &str = "RESTORED01";

/// A copy of the database, made while nobody uses it: it is on the same server, as a copy of its files would be.
struct Backup {
    admin: PgConnection,
    name: String,
}

impl Backup {
    async fn of(database: &TestDatabase) -> Self {
        let options: PgConnectOptions = database.url().parse().expect("it is a URL");
        let name = options.get_database().expect("it has a name").to_owned();
        let admin = options.database("postgres").connect().await.expect("it answers");
        let mut backup = Self { admin, name };
        let Self { name, .. } = &backup;
        backup.alone(format!("CREATE DATABASE {name}_backup TEMPLATE {name}")).await;
        backup
    }

    /// In the place of the database, which is gone with all that it had since.
    async fn copy_back(mut self) {
        let Self { name, .. } = &self;
        let (away, back) = (format!("DROP DATABASE {name}"), format!("ALTER DATABASE {name}_backup RENAME TO {name}"));
        self.alone(away).await;
        self.alone(back).await;
        self.admin.close().await.expect("closed");
    }

    /// Does it when those who were connected are gone: processes that were killed, and the test's own pool.
    async fn alone(&mut self, statement: String) {
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", self.name);
        within(&statement, async {
            while {
                self.admin.execute(end.as_str()).await.expect("they are told to end");
                self.admin.execute(statement.as_str()).await.is_err()
            } {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

/// A process that need not be ready.
struct Unready(Child);

impl Drop for Unready {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How processes and operators find the platform's servers.
struct Place {
    database: String,
    kafka: Option<(String, String)>,
}

impl Place {
    fn command(&self) -> Command {
        let mut command = Command::new(binary::coulomb());
        command.env("DATABASE_URL", &self.database).env("COULOMB_MASTER_KEY", MASTER_KEY).env_remove("KAFKA_BROKERS");
        if let Some((brokers, prefix)) = &self.kafka {
            command.env("KAFKA_BROKERS", brokers).env("COULOMB_KAFKA_TOPIC_PREFIX", prefix);
        }
        command
    }

    /// What an operator types: its exit code, and what it says.
    async fn coulomb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command();
        command.args(arguments);
        let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
        let Output { status, stdout, stderr } = run.await.expect("it ended");
        (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }

    /// In the place of a node.
    fn spawn(&self, role: &str, node: &Node) -> Unready {
        let (email, password) = operator();
        let mut command = self.command();
        command.args([role, "--http", &node.upstream.admin_port.to_string()]);
        command.env("COULOMB_OPERATOR_EMAIL", email).env("COULOMB_OPERATOR_PASSWORD", password);
        command.env("COULOMB_DATABASE_CONNECTIONS", "10").env("COULOMB_OCPP_LISTEN", node.upstream.port.to_string());
        Unready(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs"))
    }
}

fn first_line(said: &str) -> Value {
    serde_json::from_str(said.lines().next().expect("a line")).unwrap_or_else(|error| panic!("{error}: {said}"))
}

async fn head(database: &TestDatabase) -> (i64, i64) {
    let head = sqlx::query_as("SELECT position, generation FROM log_head").fetch_one(database.pool());
    head.await.expect("it answers")
}

/// The end of the log, once all of it is in Kafka.
async fn relayed(database: &TestDatabase) -> i64 {
    eventually("all to be in Kafka", || async {
        let all = "SELECT CASE WHEN coalesce((SELECT max(position) FROM relay), 0) = position THEN position ELSE 0 END \
                   FROM log_head";
        Some(number(database.pool(), all).await).filter(|head| *head > 0)
    })
    .await
}

/// Power is cut, after all is in Kafka. The end of the log.
async fn cut(cluster: &mut Cluster) -> i64 {
    let Cluster { edges, commands, projections, realtimes, .. } = cluster;
    edges.iter_mut().chain(commands).chain(projections).chain(realtimes).for_each(Node::kill);
    let head = relayed(&cluster.database).await;
    cluster.relays.iter_mut().for_each(Node::kill);
    head
}

async fn power_on(cluster: &mut Cluster) {
    let Cluster { edges, commands, projections, realtimes, relays, .. } = cluster;
    for node in edges.iter_mut().chain(commands).chain(projections).chain(realtimes).chain(relays) {
        node.start().await;
    }
}

/// On connector 2, with the card; its number.
async fn start(charger: &mut RawCharger, timestamp: &str) -> i64 {
    let start = json!({"connectorId": 2, "idTag": CARD, "meterStart": 0, "timestamp": timestamp});
    charger.ask("StartTransaction", start).await["transactionId"].as_i64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_copied_back_is_noticed_recovered_and_everybody_goes_on() {
    let prefix = embedded_kafka::testing::topic_prefix();
    let config = ClusterConfig::new("restored").by(LogBy::Kafka).set("COULOMB_KAFKA_TOPIC_PREFIX", prefix.clone());
    let mut cluster = Cluster::start(config).await;
    let network = cluster.network.clone();
    let place = Place {
        database: cluster.database.url().to_owned(),
        kafka: Some((embedded_kafka::testing::brokers().await.to_owned(), prefix)),
    };
    let staff = network.operator().await;
    let account = network.customer(network.person(), Some(CARD)).await;
    let line = network.line(&account, &["me"]);
    let mut charge = Charge::begun(&network, Phone { account, line }).await;
    charge.meter("2026-03-01T10:10:00Z", 2000).await;
    charge.seen(|session| session["energy_wh"] == 1000).await;
    let shared = cut(&mut cluster).await;
    let backup = Backup::of(&cluster.database).await;

    // Acknowledged, seen, in Kafka, and lost.
    power_on(&mut cluster).await;
    charge.charger = RawCharger::connect(&network, &charge.registered).await;
    charge.meter("2026-03-01T10:20:00Z", 3000).await;
    charge.seen(|session| session["energy_wh"] == 2000).await;
    let lost_number = start(&mut charge.charger, "2026-03-01T10:20:00Z").await;
    let sessions = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    let lost_text = lost_number.to_string();
    let is_lost = |session: &Value| session["transaction_id"] == *lost_text;
    let open = until(&charge.driver.account, "/api/sessions", |page| sessions(page).iter().any(is_lost)).await;
    let lost_session = sessions(&open).into_iter().find(is_lost).expect("it was found")["session_id"].clone();
    let lost_key = format!("session:{}", lost_session.as_str().expect("an id"));
    let plan = json!({"name": "Lost"});
    staff.post("/api/plans", &plan, Some("a-lost-plan")).await.expect("a plan can be made");
    let lost_upto = cut(&mut cluster).await;
    assert!(lost_upto > shared, "{lost_upto} is above {shared}");
    backup.copy_back().await;

    // The first process that starts asks Kafka before it appends anything.
    let mut running = vec![place.spawn("command-service", &cluster.commands[0])];
    let ports = |nodes: &[Node]| nodes.iter().map(|node| node.upstream.admin_port).collect::<Vec<_>>();
    let command_port = ports(&cluster.commands)[0];
    let said = eventually("it to say what is lost", || async {
        let (status, said) = ready(command_port).await?;
        (status == 503 && said.contains("coulomb log recover")).then_some(said)
    });
    let said = said.await;
    let lost = lost_upto - shared;
    let range = format!("lacks positions {} to {lost_upto}, {lost} events that Kafka has", shared + 1);
    assert!(said.contains(&range), "{range}: {said}");
    let (code, said) = place.coulomb(&["log", "status"]).await;
    assert!(code == Some(2) && said.contains(&range) && said.contains("coulomb log recover"), "{said}");
    let (code, said) = place.coulomb(&["log", "status", "--json"]).await;
    let status = first_line(&said);
    assert_eq!(
        (code, &status["state"], &status["position"], &status["lost_positions"]),
        (Some(2), &json!("halted"), &json!(shared), &json!(lost)),
        "{said}"
    );

    // Whoever starts after it takes nothing either, and nobody is told otherwise; reading goes on.
    let Cluster { edges, projections, realtimes, relays, .. } = &cluster;
    let roles =
        [("ocpp-edge", edges), ("projection-service", projections), ("realtime-api", realtimes), ("relay", relays)];
    for (role, nodes) in roles {
        running.extend(nodes.iter().map(|node| place.spawn(role, node)));
        for port in ports(nodes) {
            eventually(&format!("{role} to answer"), || ready(port)).await;
        }
    }
    let token = staff.access_token().await.expect("it is fresh");
    let asked = reqwest::Client::new().post(format!("{}/api/plans", network.http)).bearer_auth(token);
    let refused = within("a refusal", asked.json(&json!({"name": "Not now"})).send()).await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{refused:?}");
    let tests::Registered { id, password } = charge.registered.clone();
    assert_eq!(opening_refused(&network, &id, Some(&password)).await, 503, "a charger keeps what it has to say");
    until(&charge.driver.account, &charge.path(), |session| session["energy_wh"] == 1000).await;
    let path = format!("/api/sessions/{}", lost_session.as_str().expect("an id"));
    let refusal = network.query(&charge.driver.account, &path).await.expect_err("it is lost");
    assert_eq!(refusal.code(), "session-unknown");

    // First it is only said.
    let (code, said) = place.coulomb(&["log", "recover"]).await;
    let range = format!("Lost: positions {} to {lost_upto}, {lost} events", shared + 1);
    assert!(code == Some(0) && said.contains(&range) && said.contains("Nothing was changed"), "{said}");
    assert_eq!(head(&cluster.database).await, (shared, 1), "nothing was appended, by anybody");
    let (code, said) = place.coulomb(&["log", "recover", "--yes", "--reason", "copied back"]).await;
    assert!(code == Some(0) && said.contains("Generation 2 has begun"), "{said}");
    assert!(!said.contains("projections rebuild"), "read models that were restored with the log are sound: {said}");

    // Nothing has to be restarted.
    for (role, nodes) in roles.into_iter().chain([("command-service", &cluster.commands)]) {
        for port in ports(nodes) {
            eventually(&format!("{role} to be ready"), || async { (ready(port).await?.0 == 200).then_some(()) }).await;
        }
    }
    let (code, said) = place.coulomb(&["log", "status"]).await;
    assert!(code == Some(0) && said.contains("of generation 2, and takes events"), "{said}");
    let anew = charge.driver.line.wait_for(|held| held.topic("me").is_some_and(|me| me.generation == Some(2)));
    let held = within("a snapshot of the new generation", anew).await.expect("the line is open");
    let me = held.topic("me").expect("it is followed");
    assert!(!me.resources.contains_key(&lost_key), "what was lost is gone: {me:?}");
    // A command whose answer was lost may be sent again under its key.
    staff.post("/api/plans", &plan, Some("a-lost-plan")).await.expect("it is taken");
    charge.charger = RawCharger::connect(&network, &charge.registered).await;
    let stop = json!({"transactionId": lost_number, "meterStop": 500, "timestamp": "2026-03-01T10:40:00Z"});
    charge.charger.ask("StopTransaction", stop).await;
    let anew = start(&mut charge.charger, "2026-03-01T10:41:00Z").await;
    assert!(anew > lost_number, "{anew} was given out before");
    charge.meter("2026-03-01T10:25:00Z", 4000).await;
    charge.seen(|session| session["energy_wh"] == 3000).await;
    charge.stop().await;
    charge.ended(&network).await;
    let of_charger = format!("/api/sessions?charger_id={id}");
    let listed = until(&staff, &of_charger, |page| sessions(page).iter().any(is_lost)).await;
    let flagged = sessions(&listed).into_iter().find(is_lost).expect("it was found");
    assert!(flagged["flags"].as_array().is_some_and(|flags| !flags.is_empty()), "its start is not known: {flagged}");

    assert!(relayed(&cluster.database).await > lost_upto, "the relay goes on");
    let log = Log::open(&place.database).await;
    is_recovered(&log.events().await, shared, lost_upto);
    log.views_equal_a_fresh_fold().await;
    log.close().await;
    drop(running);
}

/// Dense; what was lost is filled, and told of after it.
fn is_recovered(events: &[schema::log::RecordedEvent], shared: i64, lost_upto: i64) {
    is_dense_and_ordered(events);
    for event in events {
        let is_lost = (shared + 1..=lost_upto).contains(&event.position.0);
        assert_eq!(event.event_type == "PositionLost", is_lost, "{}", event.position);
    }
    let told = events.iter().find(|event| event.position == Position(lost_upto + 1)).expect("it is told of");
    match decoded(told) {
        Event::Log(LogEvent::GenerationBegan { generation, shared_upto, lost_from, lost_upto: upto, .. }) => {
            assert_eq!(
                (*generation, *shared_upto, *lost_from, *upto),
                (2, shared, Some(shared + 1), Some(lost_upto)),
                "{told:?}"
            )
        }
        other => panic!("{other:?}"),
    }
}

/// Without Kafka nobody can notice: whoever copies a backup back says how far the log was, before a process starts.
#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_an_operator_says_how_far_the_log_was() {
    let database = migrated("restored-alone").await;
    let place = Place { database: database.url().to_owned(), kafka: None };
    let port = free_port();
    let service = alone("command-service", port, "restored-alone").env("DATABASE_URL", database.url());
    let network = Network::at(port, port, database.url());
    let program = service.start().await;
    let staff = network.operator().await;
    let make = async |name: &str| {
        let made = staff.post("/api/plans", &json!({"name": name}), None).await.expect("a plan can be made");
        made["position"].as_i64().expect("it has a position")
    };
    let shared = make("Kept").await;
    program.kill();
    let backup = Backup::of(&database).await;
    let program = service.start().await;
    make("Lost").await;
    let told = make("Lost, too").await;
    program.kill();
    backup.copy_back().await;
    assert_eq!(head(&database).await, (shared, 1));

    let (code, said) = place.coulomb(&["log", "recover", "--upto", &told.to_string(), "--yes"]).await;
    assert!(code == Some(0) && said.contains("Generation 2 has begun"), "{said}");
    let _program = service.start().await;
    assert!(make("New").await > told, "no position is given out twice");
    let log = Log::open(database.url()).await;
    is_recovered(&log.events().await, shared, told);
    log.close().await;
}
