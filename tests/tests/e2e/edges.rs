//! Several edges: a charger may connect to any, and move to another at any moment.

use std::time::{Duration, Instant};

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use serde_json::{Value, json};
use tests::cluster::{Cluster, ClusterConfig, LogBy};
use tests::log::{Log, decoded, is_dense_and_ordered};
use tests::{Charge, Network, RawCharger, Registered, eventually, text, until};

/// What an edge closes a socket with that is not the charger's newest any more.
const SUPERSEDED: u16 = 4001;
/// What an edge takes for a standstill, and more.
const STANDSTILL: Duration = Duration::from_secs(3);

async fn three_edges(name: &'static str) -> Cluster {
    Cluster::start(ClusterConfig { edges: 3, ..ClusterConfig::new(name) }).await
}

/// Asks for something that has no effect to wait for. The command's id.
async fn request(network: &Network, charger: &Registered, action: &str, payload: Value) -> String {
    let operator = network.operator().await;
    let path = format!("/api/chargers/{}/commands", charger.id);
    let accepted = operator.post(&path, &json!({"action": action, "payload": payload}), None).await;
    text(&accepted.expect("a command is taken")["command_id"])
}

async fn settled(network: &Network, command_id: &str) -> Value {
    let operator = network.operator().await;
    until(&operator, &format!("/api/commands/{command_id}"), |command| !command["settled_at"].is_null()).await
}

async fn is_consistent(cluster: &Cluster) {
    let log = Log::open(cluster.database.url()).await;
    is_dense_and_ordered(&log.events().await);
    log.views_equal_a_fresh_fold().await;
    log.close().await;
}

#[tokio::test]
async fn commands_reach_the_edge_that_holds_the_charger() {
    commands_reach_their_edges("edges-commands", LogBy::Postgres).await;
}

#[tokio::test]
async fn commands_reach_the_edge_that_holds_the_charger_through_kafka() {
    commands_reach_their_edges("edges-commands-kafka", LogBy::Kafka).await;
}

/// From the operator's request to the charger's socket. The figures are printed; a slow machine fails nothing.
async fn commands_reach_their_edges(name: &'static str, log: LogBy) {
    const COMMANDS: usize = 102;
    let cluster = Cluster::start(ClusterConfig { edges: 3, ..ClusterConfig::new(name) }.by(log)).await;
    let network = &cluster.network;
    let operator = network.operator().await;
    let mut chargers = vec![];
    for edge in 0..cluster.edges.len() {
        let registered = network.charger().await;
        let mut charger = RawCharger::connect(&cluster.at_edge(edge), &registered).await;
        charger.boot().await;
        chargers.push((registered, charger));
    }
    let mut took = vec![];
    for number in 0..COMMANDS {
        let (registered, charger) = &mut chargers[number % 3];
        let key = format!("key-{number}");
        let body = json!({"action": "ChangeConfiguration", "payload": {"key": "Probe", "value": key}});
        let path = format!("/api/chargers/{}/commands", registered.id);
        let asked_at = Instant::now();
        let asking = operator.post(&path, &body, None);
        let (accepted, asked) = tokio::join!(asking, async {
            let asked = charger.asked("ChangeConfiguration").await;
            took.push(asked_at.elapsed());
            asked
        });
        accepted.expect("a command is taken");
        assert_eq!(asked[3]["value"], key, "each command comes once, and to its charger");
        charger.accept(&asked).await;
    }
    took.sort();
    println!(
        "{COMMANDS} commands over 3 edges, {log:?}, request to frame: median {:?}, 90 % {:?}, most {:?}",
        took[COMMANDS / 2],
        took[COMMANDS * 9 / 10],
        took[COMMANDS - 1]
    );
    is_consistent(&cluster).await;
}

#[tokio::test]
async fn a_charge_goes_on_at_another_edge_while_the_older_socket_stands() {
    let cluster = three_edges("edges-moved").await;
    let network = &cluster.network;
    let mut charge = Charge::begun_at(network, &cluster.at_edge(0), network.driver().await).await;
    charge.meter("2026-03-01T10:10:00Z", 2000).await;
    let newer = RawCharger::connect(&cluster.at_edge(1), &charge.registered).await;
    let older = std::mem::replace(&mut charge.charger, newer);
    assert_eq!(older.closed().await, Some(SUPERSEDED));
    charge.meter("2026-03-01T10:20:00Z", 3000).await;
    charge.seen(|session| session["energy_wh"] == 2000 && session["state"] == "active").await;
    charge.stop().await;
    charge.ended(network).await;
    is_consistent(&cluster).await;
}

#[tokio::test]
async fn a_charge_goes_on_at_another_edge_when_its_own_is_killed() {
    let mut cluster = three_edges("edges-killed").await;
    let network = cluster.network.clone();
    let mut charge = Charge::begun_at(&network, &cluster.at_edge(0), network.driver().await).await;
    charge.meter("2026-03-01T10:10:00Z", 2000).await;
    cluster.edges[0].kill();
    // What was asked while nobody held the charger is carried out where it comes back.
    charge.ask_to_stop().await;
    charge.charger = RawCharger::connect(&cluster.at_edge(2), &charge.registered).await;
    charge.meter("2026-03-01T10:20:00Z", 3000).await;
    charge.stop_when_asked().await;
    charge.ended(&network).await;
    is_consistent(&cluster).await;
}

/// An edge stands still while a charger of it moves. It wakes with what the charger had said to it before, and with what it was
/// to tell the charger, and does nothing of that.
#[tokio::test]
async fn an_edge_that_stood_still_says_and_records_nothing_for_a_charger_that_moved() {
    let cluster = three_edges("edges-frozen").await;
    let network = &cluster.network;
    let mut charge = Charge::begun_at(network, &cluster.at_edge(0), network.driver().await).await;
    let stays = network.charger().await;
    let mut stays_charger = RawCharger::connect(&cluster.at_edge(0), &stays).await;
    stays_charger.boot().await;
    charge.meter("2026-03-01T10:10:00Z", 2000).await;

    cluster.edges[0].program().freeze();
    let values = json!({"connectorId": 1, "transactionId": charge.transaction_id, "meterValue": [
        {"timestamp": "2026-03-01T10:15:00Z", "sampledValue": [{"value": "2500", "unit": "Wh"}]}]});
    charge.charger.say("Heartbeat", json!({})).await;
    charge.charger.say("MeterValues", values).await;
    charge.ask_to_stop().await;
    tokio::time::sleep(STANDSTILL).await;
    let newer = RawCharger::connect(&cluster.at_edge(1), &charge.registered).await;
    let older = std::mem::replace(&mut charge.charger, newer);
    charge.meter("2026-03-01T10:20:00Z", 3000).await;
    charge.stop_when_asked().await;

    // Before its lease lapses, and with it the charger that stays.
    cluster.edges[0].program().thaw();
    charge.ended(network).await;
    assert_eq!(older.until_closed().await, (vec![], Some(SUPERSEDED)), "nothing but the close is said");
    // Whoever did not move is served as before.
    stays_charger.ask("Heartbeat", json!({})).await;
    let command = request(network, &stays, "ClearCache", json!({})).await;
    let asked = stays_charger.asked("ClearCache").await;
    stays_charger.accept(&asked).await;
    assert_eq!(settled(network, &command).await["state"], "done");

    let path = format!("{}/meter-values", charge.path());
    let readings = network.query(&charge.driver.account, &path).await.expect("readings can be asked for");
    let mut registers: Vec<_> = readings["items"].as_array().expect("it is a list").iter().collect();
    registers.sort_by_key(|reading| reading["timestamp"].as_str());
    let registers: Vec<&Value> = registers.iter().map(|reading| &reading["sampled"][0]["value"]).collect();
    assert_eq!(registers, ["2000", "3000"], "what the older socket had brought was not recorded");
    is_consistent(&cluster).await;
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_and_what_was_asked_for_is() {
    open_commands_move("edges-open", LogBy::Postgres).await;
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_and_what_was_asked_for_is_through_kafka() {
    open_commands_move("edges-open-kafka", LogBy::Kafka).await;
}

/// Of the commands that are open when the charger moves, the one that was sent is over, and the one that was only asked for is
/// carried out.
async fn open_commands_move(name: &'static str, log: LogBy) {
    let mut cluster = Cluster::start(ClusterConfig { edges: 3, ..ClusterConfig::new(name) }.by(log)).await;
    let network = cluster.network.clone();
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(&cluster.at_edge(0), &registered).await;
    charger.boot().await;
    let sent = request(&network, &registered, "Reset", json!({"type": "Soft"})).await;
    charger.asked("Reset").await;
    let waiting = request(&network, &registered, "UnlockConnector", json!({"connectorId": 1})).await;

    cluster.edges[0].kill();
    let mut charger = RawCharger::connect(&cluster.at_edge(1), &registered).await;
    // The first thing that is asked on the new connection.
    charger.boot().await;
    let asked = charger.next_asked().await;
    assert_eq!(asked[2], "UnlockConnector");
    charger.answer(&asked, json!({"status": "Unlocked"})).await;
    let ended = settled(&network, &sent).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(text(&ended["reason"]).contains("connection was lost"), "{ended}");
    assert_eq!(settled(&network, &waiting).await["state"], "done");

    // And once more, to an edge that stands still with a command sent.
    let sent = request(&network, &registered, "Reset", json!({"type": "Hard"})).await;
    charger.asked("Reset").await;
    cluster.edges[1].program().freeze();
    let waiting = request(&network, &registered, "ClearCache", json!({})).await;
    let mut newest = RawCharger::connect(&cluster.at_edge(2), &registered).await;
    newest.boot().await;
    let asked = newest.next_asked().await;
    assert_eq!(asked[2], "ClearCache");
    newest.accept(&asked).await;
    assert_eq!(settled(&network, &waiting).await["state"], "done");
    assert_eq!(settled(&network, &sent).await["state"], "failed");
    cluster.edges[1].program().thaw();
    assert_eq!(charger.until_closed().await, (vec![], Some(SUPERSEDED)));
    is_consistent(&cluster).await;
}

/// 15 s after an edge was last heard of, its chargers are offline that have not come back elsewhere.
#[tokio::test]
async fn chargers_of_a_dead_edge_are_offline_unless_they_came_back() {
    let mut cluster = three_edges("edges-dead").await;
    let network = cluster.network.clone();
    let operator = network.operator().await;
    let (back, lost) = (network.charger().await, network.charger().await);
    let mut sockets = vec![];
    for registered in [&back, &lost] {
        let mut charger = RawCharger::connect(&cluster.at_edge(0), registered).await;
        charger.boot().await;
        until(&operator, &format!("/api/chargers/{}", registered.id), |charger| charger["online"] == true).await;
        sockets.push(charger);
    }
    cluster.edges[0].kill();
    let killed = Instant::now();
    let mut charger = RawCharger::connect(&cluster.at_edge(1), &back).await;
    charger.boot().await;
    let face = format!("/api/chargers/{}", lost.id);
    assert_eq!(operator.get(&face).await.expect("it can be asked for")["online"], true, "nobody knows yet");
    until(&operator, &face, |charger| charger["online"] == false).await;
    println!("offline {:.1} s after its edge was killed", killed.elapsed().as_secs_f64());
    let back_face = operator.get(&format!("/api/chargers/{}", back.id)).await.expect("it can be asked for");
    assert_eq!(back_face["online"], true, "{back_face}");

    // The same edge, started again, is another one: nothing that the dead one left is its own.
    cluster.edges[0].start().await;
    let mut again = RawCharger::connect(&cluster.at_edge(0), &lost).await;
    again.boot().await;
    until(&operator, &face, |charger| charger["online"] == true).await;
    let log = Log::open(cluster.database.url()).await;
    let edges: Vec<String> = log
        .events()
        .await
        .iter()
        .filter_map(|recorded| match decoded(recorded) {
            Event::ChargePoint(ChargePointEvent::ChargePointConnected { edge, .. }) => Some(edge.clone()),
            _ => None,
        })
        .collect();
    let [first, second, elsewhere, restarted] = &edges[..] else { panic!("{edges:?}") };
    assert_eq!(first, second);
    assert!(restarted != first && elsewhere != first && restarted != elsewhere, "{edges:?}");
    log.close().await;
    is_consistent(&cluster).await;
}

/// Chargers that an edge sends away as it ends are not offline for the moment until they are at another: who asks for a charge
/// meanwhile is not refused.
#[tokio::test]
async fn an_edge_that_ends_hands_its_chargers_over() {
    let mut cluster = three_edges("edges-drained").await;
    let network = cluster.network.clone();
    let operator = network.operator().await;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(&cluster.at_edge(0), &registered).await;
    charger.boot().await;
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Preparing"});
    charger.ask("StatusNotification", status).await;
    // What the charger was asked for just before is answered on the socket on which it came.
    let last = request(&network, &registered, "ClearCache", json!({})).await;
    let asked = charger.asked("ClearCache").await;
    let stopping = Instant::now();
    let ((), ()) = tokio::join!(cluster.edges[0].stop(), async {
        // After the notice and before the end of its patience.
        tokio::time::sleep(Duration::from_secs(2)).await;
        charger.accept(&asked).await;
        assert_eq!(charger.closed().await, Some(1001));
    });
    println!("an edge with one charger ended within {:?}", stopping.elapsed());
    assert_eq!(settled(&network, &last).await["state"], "done");

    let driver = network.driver().await;
    let started = driver.start_over_http(&registered.id, 1).await.expect("it is not offline");
    let mut charger = RawCharger::connect(&cluster.at_edge(1), &registered).await;
    let asked = charger.asked("RemoteStartTransaction").await;
    charger.accept(&asked).await;
    let command = settled_or_accepted(&network, &started.command_id).await;
    assert_eq!(command["state"], "accepted", "{command}");

    // Who does not come back is offline when the edge's lease has lapsed.
    let gone = network.charger().await;
    let mut charger = RawCharger::connect(&cluster.at_edge(2), &gone).await;
    charger.boot().await;
    cluster.edges[2].stop().await;
    assert_eq!(charger.closed().await, Some(1001));
    until(&operator, &format!("/api/chargers/{}", gone.id), |charger| charger["online"] == false).await;
    is_consistent(&cluster).await;
}

async fn settled_or_accepted(network: &Network, command_id: &str) -> Value {
    let operator = network.operator().await;
    let path = format!("/api/commands/{command_id}");
    eventually(&path, || async {
        let command = operator.get(&path).await.ok()?;
        (command["state"] != "requested" && command["state"] != "sent").then_some(command)
    })
    .await
}
