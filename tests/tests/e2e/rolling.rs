//! How processes end, and are exchanged for others while everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use simulator::charger::{Car, Charger, ChargerHandle, ChargerView};
use simulator::phone::Account;
use tests::binary;
use tests::cluster::{Cluster, ClusterConfig, LogBy, Node};
use tests::log::Log;
use tests::watched::Watched;
use tests::{Network, RawCharger, eventually, text, until, within};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Long enough to look at a process that has announced its end.
const NOTICE_S: u64 = 8;
/// For a charge to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// For a command, whatever is exchanged meanwhile: with all its tries.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// The status of `/ready`, and what it says.
async fn ready(node: &Node) -> (u16, String) {
    let url = format!("http://127.0.0.1:{}/ready", node.upstream.admin_port);
    let answer = reqwest::get(url).await.expect("it answers");
    (answer.status().as_u16(), answer.text().await.expect("it is text"))
}

/// SIGTERM: first it says that it is not ready, and serves on; then it ends, with 0.
#[tokio::test]
async fn every_role_says_that_it_ends_before_it_does() {
    let config = ClusterConfig::new("rolling-notice").set("COULOMB_DRAIN_NOTICE_S", NOTICE_S.to_string());
    let cluster = Cluster::start(config).await;
    let network = cluster.network.clone();
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;
    let operator = network.operator().await;
    let mut socket = open_socket(&network, &operator).await;
    let Cluster { edges, commands, projections, realtimes, .. } = &cluster;
    for node in [edges, commands, projections, realtimes].into_iter().flatten() {
        assert_eq!(ready(node).await.0, 200);
        node.program().terminate();
        let (status, said) = eventually("it to be not ready", || async {
            let (status, said) = ready(node).await;
            (status != 200).then_some((status, said))
        })
        .await;
        assert!(status == 503 && said.contains("shutting down"), "{status} {said}");
    }
    // All of them still do what they are there for.
    let plan = operator.post("/api/plans", &json!({"name": "Late"}), None).await.expect("a command is taken");
    charger.ask("Heartbeat", json!({})).await;
    let position = plan["position"].as_i64().expect("it has a position");
    operator.get(&format!("/api/chargers?min_position={position}")).await.expect("it is projected, and answered");

    let closed = within("the close", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => return (u16::from(close.code), close.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert!(closed.0 == 1001 && closed.1.starts_with("reconnect_after_ms="), "{closed:?}");
    assert_eq!(charger.closed().await, Some(1001));
    let mut cluster = cluster;
    let nodes = [&mut cluster.edges, &mut cluster.commands, &mut cluster.projections, &mut cluster.realtimes];
    for node in nodes.into_iter().flatten() {
        let program = node.take();
        let log = program.log();
        assert_eq!(program.ended().await, Some(0));
        let said = std::fs::read_to_string(log).expect("it has a log");
        assert!(!said.contains("they lapse"), "leases are given back: {said}");
    }
}

async fn open_socket(network: &Network, account: &Account) -> WebSocketStream<TcpStream> {
    let token = account.access_token().await.expect("an account has a token");
    let mut request = network.ws.as_str().into_client_request().expect("it is a URL");
    let bearer = format!("Bearer {token}").parse().expect("it is printable");
    request.headers_mut().insert("authorization", bearer);
    let address = network.ws.trim_start_matches("ws://").trim_end_matches("/ws");
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("it opens");
    let hello = within("the first message", socket.next()).await;
    assert!(matches!(hello, Some(Ok(Message::Text(_)))), "{hello:?}");
    socket
}

/// Who sends two signals does not want to wait.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let config = ClusterConfig::new("rolling-second").set("COULOMB_DRAIN_NOTICE_S", "300");
    let mut cluster = Cluster::start(config).await;
    for nodes in [&mut cluster.edges, &mut cluster.commands, &mut cluster.projections, &mut cluster.realtimes] {
        nodes[0].program().terminate();
        eventually("it to have heard", || async { (ready(&nodes[0]).await.0 == 503).then_some(()) }).await;
        let program = nodes[0].take();
        // Two within half a second are taken for one.
        tokio::time::sleep(Duration::from_millis(700)).await;
        program.terminate();
        assert_eq!(program.ended().await, Some(130));
    }
}

/// Whoever waits for a position when the end begins is answered, and what others hold is theirs at once.
#[tokio::test]
async fn what_waits_is_answered_and_leases_are_handed_over() {
    let config = ClusterConfig { commands: 2, projections: 2, realtimes: 2, ..ClusterConfig::new("rolling-waits") };
    let mut cluster = Cluster::start(config.set("COULOMB_DRAIN_NOTICE_S", "0")).await;
    let network = cluster.network.clone();
    let operator = network.operator().await;
    let set_frozen = |frozen: bool| {
        for node in &cluster.projections {
            if frozen { node.program().freeze() } else { node.program().thaw() }
        }
    };
    let token = operator.access_token().await.expect("an account has a token");
    set_frozen(true);
    let first = operator.post("/api/plans", &json!({"name": "First"}), None).await.expect("a command is taken");
    let position = first["position"].as_i64().expect("it has a position");
    let url = format!("http://127.0.0.1:{}/api/sites?min_position={position}", cluster.realtimes[0].upstream.port);
    let waiting = tokio::spawn(reqwest::Client::new().get(url).bearer_auth(token).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.realtimes[0].program().terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "nobody has projected it");
    set_frozen(false);
    let answer = waiting.await.expect("it ended").expect("it is answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(cluster.realtimes[0].take().ended().await, Some(0));

    let log = Log::open(cluster.database.url()).await;
    let shared = "SELECT count(DISTINCT holder), count(*) FROM leases \
                  WHERE name = $1 AND holder IS NOT NULL AND until > clock_timestamp()";
    let held = async |name: &str| -> (i64, i64) {
        sqlx::query_as(shared).bind(name).fetch_one(log.pool()).await.expect("it can be asked")
    };
    for (name, role) in [("projections", 0), ("process:charging", 1)] {
        eventually("the partitions to be shared out", || async { (held(name).await == (2, 64)).then_some(()) }).await;
        let node = if role == 0 { &mut cluster.projections[0] } else { &mut cluster.commands[0] };
        let stopping = Instant::now();
        let taken = node.take();
        taken.terminate();
        eventually("the other one to hold everything", || async { (held(name).await == (1, 64)).then_some(()) }).await;
        println!("{name}: all of it held by the other process {:?} after the signal", stopping.elapsed());
        let said_in = taken.log();
        assert_eq!(taken.ended().await, Some(0));
        let said = std::fs::read_to_string(said_in).expect("it has a log");
        assert!(!said.contains("they lapse"), "{name}: {said}");
    }
    let third = operator.post("/api/plans", &json!({"name": "Third"}), None).await.expect("a command is taken");
    let position = third["position"].as_i64().expect("it has a position");
    operator.get(&format!("/api/chargers?min_position={position}")).await.expect("it is projected");
    log.close().await;
}

/// A client that knows what is documented and no more: it comes again, with the same key, when the connection is refused or the
/// answer is 503 with Retry-After, and has to be answered within [`ANSWERED_WITHIN`]. What else goes wrong is told.
struct Client {
    network: Network,
    operator: Account,
    ended: AtomicBool,
    /// Tries that were not the last ones of their commands, and queries that were not answered.
    again: Again,
}

#[derive(Debug, Default)]
struct Again {
    busy: AtomicUsize,
    refused: AtomicUsize,
    queries: AtomicUsize,
    /// Of a command, from its first try to its answer.
    longest_ms: AtomicU64,
}

/// How many commands were taken, and what went wrong.
type Told = (usize, Vec<String>);

impl Client {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    async fn command(&self, account: &Account, path: &str, body: &Value) -> Result<Value, String> {
        let key = uuid::Uuid::now_v7().to_string();
        let token = account.access_token().await.map_err(|error| format!("a token: {error}"))?;
        let asked = Instant::now();
        loop {
            let left = ANSWERED_WITHIN.saturating_sub(asked.elapsed());
            let request = reqwest::Client::new().post(format!("{}{path}", self.network.http)).json(body).timeout(left);
            let (why, count) = match request.bearer_auth(&token).header("Idempotency-Key", &key).send().await {
                Ok(answer) if answer.status() == 202 => {
                    let took_ms = u64::try_from(asked.elapsed().as_millis()).expect("it is short");
                    self.again.longest_ms.fetch_max(took_ms, Ordering::Relaxed);
                    return Ok(answer.json().await.expect("it is JSON"));
                }
                Ok(answer) if is_busy(&answer) => (answer.text().await.unwrap_or_default(), &self.again.busy),
                Err(error) if error.is_connect() => (error.to_string(), &self.again.refused),
                Ok(answer) => {
                    return Err(format!("{path}: {} {}", answer.status(), answer.text().await.unwrap_or_default()));
                }
                Err(error) => return Err(format!("{path}, after {:?}: {error:?}", asked.elapsed())),
            };
            count.fetch_add(1, Ordering::Relaxed);
            if asked.elapsed() >= ANSWERED_WITHIN {
                return Err(format!("{path}: not taken within {ANSWERED_WITHIN:?}, at last because: {why}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn query(&self, account: &Account, path: &str) -> Result<Option<Value>, String> {
        let token = account.access_token().await.map_err(|error| format!("a token: {error}"))?;
        let request = reqwest::Client::new().get(format!("{}{path}", self.network.queries)).bearer_auth(token);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => Ok(Some(answer.json().await.expect("it is JSON"))),
            Ok(answer) if is_busy(&answer) => Ok(self.asks_again()),
            Err(error) if error.is_connect() => Ok(self.asks_again()),
            other => Err(format!("{path}: {other:?}")),
        }
    }

    fn asks_again(&self) -> Option<Value> {
        self.again.queries.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// What an operator does in an office.
    async fn make_plans(self: Arc<Self>, number: usize) -> Told {
        let (mut taken, mut wrong) = (0, vec![]);
        while self.goes_on() {
            let body = json!({"name": format!("Plan {number}-{taken}")});
            let made = async {
                let plan = self.command(&self.operator, "/api/plans", &body).await?;
                self.query(&self.operator, &format!("/api/sites?min_position={}", plan["position"])).await
            };
            match made.await {
                Ok(_) => taken += 1,
                Err(told) => wrong.push(told),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (taken, wrong)
    }

    /// A driver with a charger that has a good network: whatever is exchanged, each charge begins and ends.
    async fn charge(self: Arc<Self>, charger: ChargerHandle, driver: Account) -> Told {
        let (mut taken, mut wrong) = (0, vec![]);
        charger.wait_for(ChargerView::is_settled).await.expect("it is switched on");
        while self.goes_on() {
            let car = Car { battery_wh: 90_000.0, charge: 0.2, power_max_w: 50_000.0, charge_limit: 1.0 };
            charger.plug(1, car).await.expect("nobody else is there");
            let charged = async {
                let body = json!({"charger_id": charger.id(), "connector_id": 1});
                let started = self.command(&driver, "/api/sessions/start", &body).await?;
                let session_id = text(&started["session_id"]);
                self.until(&driver, &session_id, "active").await?;
                self.command(&driver, "/api/sessions/stop", &json!({"session_id": session_id})).await?;
                self.until(&driver, &session_id, "completed").await
            };
            match charged.await {
                Ok(()) => taken += 2,
                Err(told) => wrong.push(format!("{}: {told}", charger.id())),
            }
            charger.unplug(1).await.expect("the car is there");
            // Until it is known that the car has gone, who starts there again is answered with the charge that is over.
            let has_gone = |view: &ChargerView| view.is_settled() && !view.outlets[0].has_car;
            charger.wait_for(has_gone).await.expect("it is switched on");
        }
        (taken, wrong)
    }

    async fn until(&self, driver: &Account, session_id: &str, state: &str) -> Result<(), String> {
        let path = format!("/api/sessions/{session_id}");
        let waiting = Instant::now();
        loop {
            match self.query(driver, &path).await {
                Ok(Some(session)) if session["state"] == state => return Ok(()),
                Ok(Some(session)) if session["state"] == "failed" => return Err(format!("it failed: {session}")),
                Ok(Some(session)) if waiting.elapsed() > PATIENCE => {
                    return Err(format!("it stays as it is, not {state}: {session}"));
                }
                Ok(None) if waiting.elapsed() > PATIENCE => return Err(format!("{path}: no answer")),
                // It may not have been projected yet.
                Err(told) if waiting.elapsed() > PATIENCE => return Err(told),
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_busy(answer: &reqwest::Response) -> bool {
    answer.status() == 503 && answer.headers().contains_key("retry-after")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_is_exchanged_under_load() {
    exchanged_under_load("rolling-restart", LogBy::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_is_exchanged_under_load_over_kafka() {
    exchanged_under_load("rolling-restart-kafka", LogBy::Kafka).await;
}

/// One process after another is exchanged while a town charges and clients give commands: no command fails or takes long, no
/// charger's message is lost, and phones hold at last what queries say.
///
/// With `COULOMB_TEST_OTHER_BINARY`, another build of the program, the two run side by side: each process is exchanged twice, every
/// other one first for the other program and then for this one again, and those between them the other way about.
async fn exchanged_under_load(name: &'static str, log: LogBy) {
    let config =
        ClusterConfig { edges: 2, commands: 2, projections: 2, realtimes: 2, ..ClusterConfig::new(name).by(log) };
    let config = config.set("COULOMB_START_DEADLINE", "20").set("COULOMB_DRAIN_S", "1");
    let mut cluster = Cluster::start(config).await;
    let network = cluster.network.clone();
    let mut watched = Watched::new(&network, 8, 8, 11).await;
    let operator = network.operator().await;
    let (ended, again) = (AtomicBool::new(false), Again::default());
    let client = Arc::new(Client { network: network.clone(), operator, ended, again });
    let mut clients: Vec<_> = (0..2).map(|number| tokio::spawn(client.clone().make_plans(number))).collect();
    for _ in 0..2 {
        let charger = Charger::spawn(network.simulated(&network.charger().await));
        let driver = network.customer(network.person(), None).await;
        clients.push(tokio::spawn(client.clone().charge(charger, driver)));
    }

    let names = ["projection-service", "realtime-api", "relay", "command-service", "ocpp-edge"];
    let other = binary::other();
    let rounds = if other.is_some() { 2 } else { 1 };
    for round in 0..rounds {
        let Cluster { projections, realtimes, relays, commands, edges, .. } = &mut cluster;
        for (role, nodes) in names.iter().zip([projections, realtimes, relays, commands, edges]) {
            for (number, node) in nodes.iter_mut().enumerate() {
                let then = watched.journal.len() + 30;
                eventually("messages", || async { (watched.journal.len() >= then).then_some(()) }).await;
                let build = other.clone().filter(|_| (round + number) % 2 == 0);
                let program = if build.is_some() { "the other program" } else { "this program" };
                node.builder.run_build(build);
                let restarting = Instant::now();
                node.restart().await;
                println!("{role} {number} exchanged for {program} within {:?}", restarting.elapsed());
            }
        }
    }
    watched.is_followed().await;
    client.ended.store(true, Ordering::Relaxed);
    let mut all = 0;
    for running in clients {
        let (taken, wrong) = within("the clients to end", running).await.expect("it ended");
        assert_eq!(wrong, Vec::<String>::new(), "after {taken} commands");
        all += taken;
    }
    println!("{all} commands beside {} acknowledged messages of chargers", watched.journal.len());
    println!("tried again: {:?}", client.again);
    watched.comes_to_rest(cluster.database.url()).await;
}

/// A newer program has been here: its migrations are no obstacle, unless they say so in their names.
#[tokio::test]
async fn an_older_program_says_whether_it_can_run_on_a_newer_database() {
    let mut cluster = Cluster::start(ClusterConfig::new("rolling-older")).await;
    let network = cluster.network.clone();
    let log = Log::open(cluster.database.url()).await;
    let migrate = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   VALUES ($1, $2, true, '\\x00', 0)";
    for (version, description) in [(90_000_i64, "add a column"), (90_010, "needs 500 drop a column")] {
        sqlx::query(migrate).bind(version).bind(description).execute(log.pool()).await.expect("it is written");
    }
    for nodes in [&mut cluster.projections, &mut cluster.realtimes, &mut cluster.commands, &mut cluster.edges] {
        nodes[0].restart().await;
        assert!(nodes[0].program().said().contains("newer than this program"), "it says so");
    }
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;
    let operator = network.operator().await;
    until(&operator, &format!("/api/chargers/{}", registered.id), |charger| charger["online"] == true).await;

    sqlx::query(migrate)
        .bind(90_020_i64)
        .bind("needs 90000 drop a table")
        .execute(log.pool())
        .await
        .expect("it is written");
    for nodes in [&mut cluster.projections, &mut cluster.realtimes, &mut cluster.commands, &mut cluster.edges] {
        nodes[0].stop().await;
        let said = nodes[0].builder.refused().await;
        assert!(said.contains("90020") && said.contains("must know version 90000"), "{said}");
    }
    log.close().await;
}
