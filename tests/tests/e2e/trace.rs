//! One trace id, from the charger's message on its socket to the phone: in the edge's log, in the stored event, in what
//! is fanned out.

use std::path::Path;

use domain::envelope::ActorKind;
use serde_json::{Value, json};
use tests::log::Log;
use tests::{Network, RawCharger, eventually, logs, until, within};

/// What the program has logged so far, a JSON object a line; what it said otherwise is left out.
fn logged(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("it has a log");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The lines of a trace: those that name it, and those that are said within a span that does.
fn of_trace<'l>(lines: &'l [Value], trace_id: &str) -> Vec<&'l Value> {
    let is_of = |line: &&Value| {
        let spans = line["spans"].as_array().into_iter().flatten();
        line["trace_id"] == trace_id || spans.into_iter().any(|span| span["trace_id"] == trace_id)
    };
    lines.iter().filter(is_of).collect()
}

/// The line in which the edge says that it has read a message of this trace.
fn read_line<'l>(lines: &[&'l Value], trace_id: &str) -> Option<&'l Value> {
    lines.iter().copied().find(|line| line["message"] == "a message is read" && line["span"]["trace_id"] == trace_id)
}

/// Waits for the line in which the hub says that it has fanned out the resource at this position, and gives its trace id.
async fn fanned_out(log: &Path, key: &str, position: i64) -> String {
    eventually(&format!("{key} at {position} to be logged as fanned out"), || async {
        let lines = logged(log);
        let line = lines.into_iter().find(|line| {
            line["message"] == "fanned out" && line["key"] == key && line["position"].as_i64() == Some(position)
        })?;
        Some(line["trace_id"].as_str().expect("what came of a message has its trace").to_owned())
    })
    .await
}

#[tokio::test]
async fn one_trace_id_leads_from_a_chargers_message_to_the_phone() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let log_file = logs("trace");
    let settings = [("COULOMB_LOG_FORMAT", "json"), ("RUST_LOG", "debug,sqlx=warn,hyper=warn")];
    let (network, _program) = Network::start_on(database.url(), log_file.clone(), &settings).await;
    let (registered, driver) = (network.charger().await, network.driver().await);
    let topic = format!("charger:{}", registered.id);
    driver.line.subscribe(topic.as_str()).await.expect("the line is open");
    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;

    // A status, which the phone sees on the charger's face.
    let faulted = json!({"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"});
    charger.ask("StatusNotification", faulted).await;
    let seen = driver.line.wait_for(|held| {
        held.newest(&topic).is_some_and(|charger| charger.data["connectors"][0]["status"] == "faulted")
    });
    let held = within("the fault to be seen", seen).await.expect("the line is open");
    let fault_position = held.newest(&topic).expect("it is held").position;

    // A start and a reading, which the phone sees on its session.
    let available = json!({"connectorId": 2, "errorCode": "NoError", "status": "Available"});
    charger.ask("StatusNotification", available).await;
    let accepted = within("the start", driver.start(&registered.id, 2)).await.expect("a start is taken");
    let asked = charger.asked("RemoteStartTransaction").await;
    charger.accept(&asked).await;
    let start = json!({"connectorId": 2, "idTag": asked[3]["idTag"], "meterStart": 0,
        "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.ask("StartTransaction", start).await;
    let session = within("the session", driver.wait_for_session(&accepted, &["active"])).await.expect("it starts");
    let key = format!("session:{}", session["session_id"].as_str().expect("a session has an id"));
    let started_position = session["position"].as_i64().expect("it has a position");
    let values = json!({"connectorId": 2, "transactionId": started["transactionId"], "meterValue": [
        {"timestamp": "2026-03-01T10:10:00Z", "sampledValue": [{"value": "600"}]}]});
    charger.ask("MeterValues", values).await;
    let seen = driver.line.wait_for(|held| held.newest(&key).is_some_and(|session| session.data["energy_wh"] == 600));
    let held = within("the reading to be seen", seen).await.expect("the line is open");
    let metered_position = held.newest(&key).expect("it is held").position;

    let log = Log::open(database.url()).await;
    let events = log.events().await;
    log.close().await;
    for (action, key, position) in [
        ("StatusNotification", &topic, fault_position),
        ("StartTransaction", &key, started_position),
        ("MeterValues", &key, metered_position),
    ] {
        let trace_id = fanned_out(&log_file, key, position).await;
        let event = events.iter().find(|event| event.position.0 == position).expect("the position is an event's");
        assert_eq!(event.envelope.trace_id.as_deref(), Some(trace_id.as_str()), "{action}: the stored event");
        let lines = logged(&log_file);
        let lines = of_trace(&lines, &trace_id);
        let read = read_line(&lines, &trace_id).unwrap_or_else(|| panic!("{action}: {trace_id} begins at the edge"));
        assert_eq!((&read["span"]["action"], &read["span"]["charger"]), (&json!(action), &json!(registered.id)));
        // The message is one trace, and nothing else is in it.
        let reads = lines.iter().filter(|line| line["message"] == "a message is read").count();
        assert_eq!(reads, 1, "{action}: {lines:?}");
    }
}

#[tokio::test]
async fn what_the_edge_itself_records_has_a_trace_a_commands_outcome_that_of_its_request() {
    const ASKED_IN: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let log_file = logs("trace-edge");
    let settings = [("COULOMB_LOG_FORMAT", "json"), ("RUST_LOG", "debug,sqlx=warn,hyper=warn")];
    let (network, _program) = Network::start_on(database.url(), log_file.clone(), &settings).await;
    let (registered, operator) = (network.charger().await, network.operator().await);
    let topic = format!("charger:{}", registered.id);
    let line = network.line(&operator, &[&topic, "fleet"]);
    // One position each: what comes in one batch is fanned out once.
    let online = async |online: bool| {
        let seen = line.wait_for(|held| held.newest(&topic).is_some_and(|charger| charger.data["online"] == online));
        let held = within("the connection to be seen", seen).await.expect("the line is open");
        held.newest(&topic).expect("it is held").position
    };
    online(false).await;
    let mut charger = RawCharger::connect(&network, &registered).await;
    let connected = online(true).await;
    charger.boot().await;

    let token = operator.access_token().await.expect("a token");
    let path = format!("{}/api/chargers/{}/commands", network.http, registered.id);
    let ask = async |action: &str| {
        let request = reqwest::Client::new().post(&path).bearer_auth(&token);
        let request = request.header("traceparent", format!("00-{ASKED_IN}-00f067aa0ba902b7-01"));
        let answer = request.json(&json!({"action": action, "payload": {}})).send().await.expect("answered");
        assert_eq!(answer.status().as_u16(), 202);
        answer.json::<Value>().await.expect("JSON")["command_id"].as_str().expect("an id").to_owned()
    };
    let cleared = ask("ClearCache").await;
    let asked = charger.asked("ClearCache").await;
    charger.accept(&asked).await;
    let key = format!("command:{cleared}");
    let done = line.wait_for(|held| held.newest(&key).is_some_and(|command| command.data["state"] == "done"));
    let held = within("the command to be done", done).await.expect("the line is open");
    let done = held.newest(&key).expect("it is held").position;
    assert_eq!(fanned_out(&log_file, &key, done).await, ASKED_IN);
    // One that the charger never answers, since it goes; another waits for it to come back.
    let lost = ask("ClearCache").await;
    charger.asked("ClearCache").await;
    let waits = ask("ClearCache").await;
    drop(charger);
    let disconnected = online(false).await;
    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;
    let asked = charger.asked("ClearCache").await;
    charger.accept(&asked).await;
    until(&operator, &format!("/api/commands/{waits}"), |command| command["state"] == "done").await;

    let log = Log::open(database.url()).await;
    let events = log.events().await;
    log.close().await;
    for (command_id, outcome) in
        [(&cleared, "StationCommandAccepted"), (&lost, "StationCommandFailed"), (&waits, "StationCommandAccepted")]
    {
        let of_command = events.iter().filter(|event| event.stream.id.to_string() == **command_id);
        let of_command: Vec<_> = of_command.map(|event| (&*event.event_type, &event.envelope.trace_id)).collect();
        for event_type in ["StationCommandRequested", "StationCommandSent", outcome] {
            assert!(of_command.contains(&(event_type, &Some(ASKED_IN.to_owned()))), "{event_type}: {of_command:?}");
        }
        assert!(of_command.iter().all(|(_, trace_id)| trace_id.as_deref() == Some(ASKED_IN)), "{of_command:?}");
    }
    let lines = logged(&log_file);
    let of_asked = of_trace(&lines, ASKED_IN);
    for said in ["sending a command", "a command has its outcome"] {
        let of_command = |line: &&&Value| line["message"] == said && line["command"] == *cleared;
        assert_eq!(of_asked.iter().filter(of_command).count(), 1, "{said}: {of_asked:?}");
    }
    let mut traces = vec![];
    for (position, event_type, said) in [
        (connected, "ChargePointConnected", "a charger has connected"),
        (disconnected, "ChargePointDisconnected", "a charger's connection ended"),
    ] {
        let event = events.iter().find(|event| event.position.0 == position).expect("the position is an event's");
        assert_eq!(event.event_type, event_type);
        let trace_id = fanned_out(&log_file, &topic, position).await;
        assert_eq!(event.envelope.trace_id.as_deref(), Some(&*trace_id), "{event_type}: the stored event");
        let lines = of_trace(&lines, &trace_id);
        assert!(lines.iter().any(|line| line["message"] == said), "{said}: {lines:?}");
        traces.push(trace_id);
    }
    assert_ne!(traces[0], traces[1], "a connection's end has a trace of its own");
    // Whatever an edge or a charger brought about has one.
    for event in &events {
        let by = &event.envelope.actor;
        let is_of_edge = by.id == "ocpp-edge" || by.kind == ActorKind::Charger;
        assert!(!is_of_edge || event.envelope.trace_id.is_some(), "{} {}", event.event_type, event.position);
    }
}
