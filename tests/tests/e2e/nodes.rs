//! Several nodes of what phones and operators speak to: any of them may be asked next.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::session::SessionEvent;
use serde_json::{Value, json};
use simulator::phone::{Error, LineEvent, Phone};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tests::balancer::Balancer;
use tests::cluster::{Cluster, ClusterConfig, upstreams};
use tests::follow::holds_what_queries_say;
use tests::log::{Log, decoded, is_dense_and_ordered};
use tests::watched::Watched;
use tests::{Charge, Network, RawCharger, eventually, text, until, within};
use tokio::sync::mpsc;

/// What the next connection is answered for `me`, first of all.
async fn first_of_me(telling: &mut mpsc::Receiver<LineEvent>) -> Value {
    let mut is_new = false;
    within("an answer to the subscription", async {
        loop {
            match telling.recv().await.expect("the line is open") {
                LineEvent::Connected => is_new = true,
                LineEvent::Message { message, .. } if is_new && message["topic"] == "me" => return message,
                _ => {}
            }
        }
    })
    .await
}

/// A phone goes from node to node. One is behind the other each time, since it stood still.
#[tokio::test]
async fn a_phone_goes_on_at_any_node() {
    let cluster = Cluster::start(ClusterConfig { realtimes: 2, ..ClusterConfig::new("nodes-phone") }).await;
    let network = &cluster.network;
    let nodes = upstreams(&cluster.realtimes);
    let door = Balancer::start(&nodes[..1]).await;
    let account = network.customer(network.person(), None).await;
    let (line, mut telling) = network.with_phones_at(door.port()).telling_line(&account, &["me"]);
    let mut charge = Charge::begun(network, Phone { account: account.clone(), line: line.clone() }).await;
    first_of_me(&mut telling).await;
    let mut register_wh = 1000;
    let mut first = vec![];
    for (turn, (from, to)) in [(0, 1), (1, 0), (0, 1)].into_iter().enumerate() {
        // Where the phone goes next, nothing is heard meanwhile.
        cluster.realtimes[to].program().freeze();
        for minute in 1..=3 {
            register_wh += 300;
            charge.meter(&format!("2026-03-01T10:{turn}{minute}:00Z"), register_wh).await;
        }
        charge.seen(|session| session["energy_wh"] == register_wh - 1000).await;
        door.set(&nodes[to..=to]);
        line.lose(Duration::ZERO).await.expect("the line is open");
        // The phone is at the door before the node is awake.
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.realtimes[to].program().thaw();
        let answer = first_of_me(&mut telling).await;
        first.push(text(&answer["type"]));
        assert!(answer["type"] == "resumed" || answer["type"] == "snapshot", "{answer}");
        charge.seen(|session| session["energy_wh"] == register_wh - 1000).await;
        holds_what_queries_say(&line, &account, "me").await;

        // The node that it has left stands still, and is ahead of nobody when it wakes.
        cluster.realtimes[from].program().freeze();
        register_wh += 300;
        charge.meter(&format!("2026-03-01T10:{turn}9:00Z"), register_wh).await;
        charge.seen(|session| session["energy_wh"] == register_wh - 1000).await;
        cluster.realtimes[from].program().thaw();
    }
    println!("a node that was behind answered {first:?}");

    // The phone's own node stands still, and wakes.
    cluster.realtimes[1].program().freeze();
    charge.meter("2026-03-01T10:29:00Z", register_wh + 300).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.realtimes[1].program().thaw();
    charge.stop().await;
    charge.ended(network).await;
    holds_what_queries_say(&line, &account, "me").await;
}

/// Nobody can connect to the database, or is connected, until it is let in again.
async fn let_in(database_url: &str, is_let_in: bool) {
    let options: PgConnectOptions = database_url.parse().expect("a URL");
    let database = options.get_database().expect("it names one").to_owned();
    let mut server = PgConnection::connect_with(&options.database("postgres")).await.expect("the server is there");
    let alter = format!(r#"ALTER DATABASE "{database}" WITH ALLOW_CONNECTIONS {is_let_in}"#);
    sqlx::raw_sql(&alter).execute(&mut server).await.expect("it is ours");
    if is_let_in {
        return;
    }
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(end).bind(&database).execute(&mut server).await.expect("they end");
}

/// It comes back in the moment in which nothing can be read, and is on an open line with what it had.
#[tokio::test]
async fn a_phone_that_comes_while_the_database_is_away_follows_when_it_is_back() {
    let cluster = Cluster::start(ClusterConfig::new("nodes-away")).await;
    let network = &cluster.network;
    let account = network.customer(network.person(), None).await;
    // Not through the balancer, which sends nobody to a node that is not ready.
    let direct = network.with_phones_at(cluster.realtimes[0].upstream.port);
    let (line, mut telling) = direct.telling_line(&account, &["me"]);
    let mut charge = Charge::begun(network, Phone { account: account.clone(), line: line.clone() }).await;
    let_in(cluster.database.url(), false).await;
    line.lose(Duration::ZERO).await.expect("the line is open");
    let refused = within("the subscription to be refused", async {
        loop {
            let event = telling.recv().await.expect("the line is open");
            if let LineEvent::NotFollowed { topic, why, again_in } = event {
                return (topic, why.status, again_in.is_some());
            }
        }
    });
    assert_eq!(refused.await, ("me".to_owned(), 503, true));
    let_in(cluster.database.url(), true).await;
    while telling.try_recv().is_ok() {}
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    charge.seen(|session| session["energy_wh"] == 2500).await;
    holds_what_queries_say(&line, &account, "me").await;
    let mut lost = 0;
    while let Ok(event) = telling.try_recv() {
        lost += usize::from(matches!(event, LineEvent::Lost { .. }));
    }
    assert_eq!(lost, 0, "it needs no other line for it");
}

/// Nodes are killed and stand still in the middle of everything, and nobody is left with an older state.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_or_stands_still_in_a_burst_leaves_nobody_behind() {
    let config = ClusterConfig { realtimes: 2, ..ClusterConfig::new("nodes-burst") };
    let mut cluster = Cluster::start(config.set("COULOMB_START_DEADLINE", "5")).await;
    let network = cluster.network.clone();
    let mut watched = Watched::new(&network, 6, 6, 7).await;
    for turn in 0..6 {
        let then = watched.journal.len() + 60;
        eventually("messages", || async { (watched.journal.len() >= then).then_some(()) }).await;
        let node = &mut cluster.realtimes[turn % 2];
        if turn % 3 == 2 {
            node.program().freeze();
            tokio::time::sleep(Duration::from_secs(2)).await;
            node.program().thaw();
        } else {
            node.kill();
            node.start().await;
        }
        watched.is_followed().await;
    }
    watched.comes_to_rest(cluster.database.url()).await;
}

async fn post(http: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{http}{path}")).json(body).send().await.expect("it answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("it answers JSON"))
}

fn at(cluster: &Cluster, node: usize) -> String {
    format!("http://127.0.0.1:{}", cluster.commands[node].upstream.port)
}

/// A person is known at each node, and one refresh token is worth one successor wherever it is presented.
#[tokio::test]
async fn people_log_in_at_one_node_and_go_on_at_another() {
    let cluster = Cluster::start(ClusterConfig { commands: 3, ..ClusterConfig::new("nodes-login") }).await;
    let network = &cluster.network;
    let person = network.person();
    let body = json!({"email": person.email, "password": person.password, "name": person.name});
    let (status, registered) = post(&at(&cluster, 0), "/api/auth/register", &body).await;
    assert_eq!(status, 200, "{registered}");
    let (status, again) = post(&at(&cluster, 1), "/api/auth/register", &body).await;
    assert_eq!((status, &again["type"]), (409, &json!("/problems/email-taken")));
    let login = json!({"email": person.email, "password": person.password});
    let (status, tokens) = post(&at(&cluster, 1), "/api/auth/login", &login).await;
    assert_eq!(status, 200, "{tokens}");

    // Each node takes the access token of each other.
    for (node, token) in [(2, &registered["access_token"]), (0, &tokens["access_token"])] {
        let stop = json!({"session_id": uuid()});
        let request = reqwest::Client::new().post(format!("{}/api/sessions/stop", at(&cluster, node))).json(&stop);
        let answer = request.bearer_auth(text(token)).send().await.expect("it answers");
        assert_eq!(answer.status(), 404, "the token is good, the session is none");
    }

    // The same token at all nodes at once, as a phone that has not heard an answer: each gives the same.
    let refresh = |node: usize, token: &str| {
        let (http, body) = (at(&cluster, node), json!({"refresh_token": token}));
        async move { post(&http, "/api/auth/refresh", &body).await }
    };
    let first = text(&tokens["refresh_token"]);
    let (one, two, three) = tokio::join!(refresh(0, &first), refresh(1, &first), refresh(2, &first));
    let successors = [one, two, three].map(|(status, answer)| (status, text(&answer["refresh_token"])));
    assert!(successors.iter().all(|(status, token)| *status == 200 && *token == successors[0].1), "{successors:?}");
    // Another node, and the chain goes on; the one before is not good any more, and ends it everywhere.
    let (status, next) = refresh(1, &successors[0].1).await;
    assert_eq!(status, 200, "{next}");
    assert_eq!(refresh(2, &first).await.0, 401);
    assert_eq!(refresh(0, &text(&next["refresh_token"])).await.0, 401, "the family has ended at each node");
}

fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The same command at several nodes at once is one command.
#[tokio::test]
async fn a_key_is_one_command_at_whatever_nodes_it_comes() {
    const TRIES: usize = 12;
    let cluster = Cluster::start(ClusterConfig { commands: 3, ..ClusterConfig::new("nodes-keys") }).await;
    let network = &cluster.network;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    let driver = network.driver().await;
    let token = driver.account.access_token().await.expect("an account has a token");
    let key = uuid();
    let mut asking = vec![];
    for number in 0..TRIES {
        let url = format!("{}/api/sessions/start", at(&cluster, number % 3));
        let body = json!({"charger_id": registered.id, "connector_id": 1});
        let request = reqwest::Client::new().post(url).json(&body).bearer_auth(&token).header("Idempotency-Key", &key);
        asking.push(tokio::spawn(async move {
            let answer = request.send().await.expect("it answers");
            let status = answer.status().as_u16();
            (status, answer.json::<Value>().await.expect("it answers JSON"))
        }));
    }
    let mut answers = vec![];
    for asked in asking {
        answers.push(asked.await.expect("it ended"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 202), "{answers:?}");
    let asked = charger.asked("RemoteStartTransaction").await;
    charger.accept(&asked).await;

    // Another body under the key is refused by each, and another driver's key is another command.
    for node in 0..3 {
        let url = format!("{}/api/sessions/start", at(&cluster, node));
        let body = json!({"charger_id": registered.id, "connector_id": 2});
        let request = reqwest::Client::new().post(url).json(&body).bearer_auth(&token).header("Idempotency-Key", &key);
        let answer = request.send().await.expect("it answers");
        assert_eq!(answer.status(), 409);
        assert_eq!(answer.json::<Value>().await.expect("JSON")["type"], "/problems/idempotency-conflict");
    }
    let log = Log::open(cluster.database.url()).await;
    let events = log.events().await;
    is_dense_and_ordered(&events);
    let requested = |event: &&schema::log::RecordedEvent| {
        matches!(decoded(event), Event::ChargingSession(SessionEvent::SessionRequested(_)))
    };
    assert_eq!(events.iter().filter(requested).count(), 1);
    log.close().await;
}

/// Each node counts for itself: through a balancer there is at least the rate of one, and at most that of all.
#[tokio::test]
async fn a_rate_is_that_of_a_node() {
    const AT_ONCE: usize = 6;
    let config = ClusterConfig { commands: 3, ..ClusterConfig::new("nodes-rates") };
    let cluster = Cluster::start(config.set("COULOMB_RATE_DRIVER", format!("{AT_ONCE},1"))).await;
    let driver = cluster.network.driver().await;
    let (mut taken, mut limited) = (0, 0);
    for _ in 0..6 * AT_ONCE {
        match driver.account.post("/api/sessions/stop", &json!({"session_id": uuid()}), None).await {
            Err(Error::Refused(problem)) if problem.status == 404 => taken += 1,
            Err(Error::Refused(problem)) if problem.status == 429 => {
                assert!(problem.retry_after_s.is_some(), "{problem:?}");
                limited += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((AT_ONCE..=3 * AT_ONCE + 1).contains(&taken), "{taken} were taken, {limited} limited");
}

/// Sessions whose deadlines come while the node that watches over half of them stands still, or is dead: each fails once.
#[tokio::test]
async fn deadlines_are_kept_by_whoever_is_left() {
    const CHARGERS: usize = 8;
    const DEADLINE_S: &str = "6";
    let config = ClusterConfig { commands: 2, ..ClusterConfig::new("nodes-timers") };
    let mut cluster = Cluster::start(config.set("COULOMB_START_DEADLINE", DEADLINE_S)).await;
    let network = cluster.network.clone();
    let (first, second) = (at(&cluster, 0), at(&cluster, 1));
    let mut chargers = vec![];
    for _ in 0..CHARGERS {
        let registered = network.charger().await;
        let mut charger = RawCharger::connect(&network, &registered).await;
        charger.boot().await;
        chargers.push((registered, charger));
    }
    // Each node has its half.
    let log = Log::open(cluster.database.url()).await;
    let shared_out = "SELECT count(DISTINCT holder) = 2 AND count(*) = 64 FROM leases \
                      WHERE name = 'process:charging' AND until > clock_timestamp()";
    eventually("the partitions to be shared out", || async {
        let shared: bool = sqlx::query_scalar(shared_out).fetch_one(log.pool()).await.expect("it can be asked");
        shared.then_some(())
    })
    .await;

    for (http, what) in [(&second, "stands still"), (&first, "is dead")] {
        let sessions = nobody_comes(&network, http, &mut chargers).await;
        match what {
            "stands still" => cluster.commands[0].program().freeze(),
            _ => cluster.commands[1].kill(),
        }
        let (late, events) = all_failed(&log, &sessions).await;
        println!("a node {what}: {} sessions failed at most {late:.1} s late", sessions.len());
        if what == "stands still" {
            cluster.commands[0].program().thaw();
            // It wakes with all that it was about to do.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(all_failed(&log, &sessions).await.1, events, "each failed once, and stays so");
    }
    is_dense_and_ordered(&log.events().await);
    log.views_equal_a_fresh_fold().await;
    log.close().await;
}

/// Starts a charge at each charger, which accepts and waits for a car.
async fn nobody_comes(network: &Network, http: &str, chargers: &mut [(tests::Registered, RawCharger)]) -> Vec<String> {
    let mut sessions = vec![];
    for (registered, charger) in chargers {
        let driver = network.driver().await;
        let token = driver.account.access_token().await.expect("an account has a token");
        let body = json!({"charger_id": registered.id, "connector_id": 1});
        let request = reqwest::Client::new().post(format!("{http}/api/sessions/start")).json(&body).bearer_auth(token);
        let answer: Value = request.send().await.expect("it answers").json().await.expect("JSON");
        sessions.push(text(&answer["session_id"]));
        let asked = charger.asked("RemoteStartTransaction").await;
        charger.accept(&asked).await;
    }
    sessions
}

/// Waits until each session has failed. How late the last was, in seconds, and how many failures there are.
async fn all_failed(log: &Log, sessions: &[String]) -> (f64, usize) {
    eventually("the sessions to fail", || async {
        let (mut late, mut failures): (f64, usize) = (0.0, 0);
        for session in sessions {
            let mut deadline: Option<DateTime<Utc>> = None;
            let id = uuid::Uuid::parse_str(session).expect("it is an id");
            for recorded in log.events().await.iter().filter(|event| event.stream.id == id) {
                match decoded(recorded) {
                    Event::ChargingSession(SessionEvent::SessionRequested(request)) => {
                        deadline = Some(request.deadline_at)
                    }
                    Event::ChargingSession(SessionEvent::SessionFailed { .. }) => {
                        let deadline = deadline.expect("it was requested");
                        late = late.max((recorded.recorded_at - deadline).as_seconds_f64());
                        failures += 1;
                    }
                    _ => {}
                }
            }
        }
        (failures >= sessions.len()).then_some((late, failures))
    })
    .await
}

/// What a process has in memory may be old: others have changed it since.
#[tokio::test]
async fn no_process_decides_on_what_others_have_changed() {
    let config = ClusterConfig { commands: 2, edges: 2, ..ClusterConfig::new("nodes-memory") };
    let cluster = Cluster::start(config).await;
    let network = &cluster.network;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(&cluster.at_edge(0), &registered).await;
    charger.boot().await;
    let driver = network.customer(network.person(), Some("CARD-OF-THEIRS")).await;
    let token = driver.access_token().await.expect("an account has a token");
    let mut sessions = vec![];
    for turn in 0..4 {
        let status = |word: &str| json!({"connectorId": 1, "errorCode": "NoError", "status": word});
        charger.ask("StatusNotification", status("Preparing")).await;
        let body = json!({"charger_id": registered.id, "connector_id": 1});
        // With a key, as phones do: the answer alone is something to be recorded.
        let url = format!("{}/api/sessions/start", at(&cluster, turn % 2));
        let request = reqwest::Client::new().post(url).json(&body).bearer_auth(&token);
        let answer = request.header("Idempotency-Key", uuid()).send().await.expect("it answers");
        assert_eq!(answer.status(), 202);
        let answer: Value = answer.json().await.expect("it is JSON");
        assert!(!sessions.contains(&answer["session_id"]), "turn {turn} is answered with a charge that is over");
        sessions.push(answer["session_id"].clone());
        let asked = charger.asked("RemoteStartTransaction").await;
        charger.accept(&asked).await;
        let start = json!({"connectorId": 1, "idTag": asked[3]["idTag"], "meterStart": 1000,
            "timestamp": format!("2026-03-01T1{turn}:00:00Z")});
        let started = charger.ask("StartTransaction", start).await;
        let stop = json!({"transactionId": started["transactionId"], "meterStop": 2000,
            "timestamp": format!("2026-03-01T1{turn}:30:00Z"), "reason": "Local"});
        charger.ask("StopTransaction", stop).await;
        charger.ask("StatusNotification", status("Available")).await;
    }

    // A card that an edge knows is blocked by an operator, who is elsewhere.
    let mut elsewhere = RawCharger::connect(&cluster.at_edge(1), &network.charger().await).await;
    elsewhere.boot().await;
    let card = json!({"idTag": "CARD-OF-THEIRS"});
    for charger in [&mut charger, &mut elsewhere] {
        assert_eq!(charger.ask("Authorize", card.clone()).await["idTagInfo"]["status"], "Accepted");
    }
    let operator = network.operator().await;
    let tokens =
        until(&operator, "/api/tokens", |list| list["items"].as_array().is_some_and(|list| !list.is_empty())).await;
    let token_id = text(&tokens["items"][0]["token_id"]);
    operator.post(&format!("/api/tokens/{token_id}/block"), &json!({}), None).await.expect("a token can be blocked");
    for charger in [&mut charger, &mut elsewhere] {
        assert_eq!(charger.ask("Authorize", card.clone()).await["idTagInfo"]["status"], "Blocked");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_position_waits_at_any_node() {
    let cluster =
        Cluster::start(ClusterConfig { realtimes: 2, commands: 2, ..ClusterConfig::new("nodes-position") }).await;
    let network = &cluster.network;
    let operator = network.operator().await;
    for number in 0..20 {
        let plan = operator.post("/api/plans", &json!({"name": format!("Plan {number}")}), None).await;
        let plan = plan.expect("a plan can be made");
        let position = plan["position"].as_i64().expect("it has a position");
        // Each time at the next node.
        let chargers = operator.get(&format!("/api/chargers?min_position={position}")).await.expect("it is waited for");
        assert!(chargers["position"].as_i64() >= Some(position), "{chargers}");
    }
    until(&operator, "/api/sessions", |list| list["items"].is_array()).await;
}
