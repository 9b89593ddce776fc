//! The whole program is killed again and again while a town charges, and nothing that was acknowledged is lost.
//!
//! `COULOMB_TEST_SEED` replays a run as far as it can be replayed, `COULOMB_TEST_KILLS` sets how often it is killed.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::session::SessionEvent;
use domain::station_command::StationCommandEvent;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use schema::log::RecordedEvent;
use serde_json::Value;
use simulator::charger::{Acknowledged, ChargerConfig, Journal};
use simulator::phone::{Accepted, Account, Line};
use simulator::town::{CommandWitness, Pace, ResidentConfig, Town, TownConfig};
use tests::follow::{holds_all_open_sessions, holds_what_queries_say};
use tests::log::{Log, decoded, is_dense_and_ordered};
use tests::{Network, eventually, logs, passable, until, up, within};

const KILLS: u32 = 20;
const CHARGERS: usize = 10;
const RESIDENTS: usize = 8;
/// How many acknowledged messages there are between two kills.
const MESSAGES: std::ops::Range<usize> = 5..120;

#[derive(Default)]
struct Commands(Mutex<Vec<String>>);

impl CommandWitness for Commands {
    fn accepted(&self, command: &Accepted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(command.command_id.clone());
    }
}

impl Commands {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_program_is_killed() {
    let seed = from_environment("COULOMB_TEST_SEED").unwrap_or_else(rand::random);
    let kills = from_environment("COULOMB_TEST_KILLS").unwrap_or(KILLS);
    println!("COULOMB_TEST_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);

    let parent = passable();
    let data_dir = parent.path().join("data");
    let (builder, http, ocpp) = up(&["--data-dir", data_dir.to_str().expect("it is text")], logs("kill"));
    let builder = builder.env("COULOMB_START_DEADLINE", "5");
    let mut program = builder.start().await;
    let network = Network::at(http, ocpp, &Network::private_database(&data_dir));
    let seen = Seen::of(&network, seed).await;
    let Seen { journal, commands, mut town, operator, lines } = seen;

    for kill in 1..=kills {
        let then = journal.len() + rng.random_range(MESSAGES);
        eventually("messages", || async { (journal.len() >= then).then_some(()) }).await;
        // Half of the time the database goes with it, as when the machine does.
        if rng.random() {
            kill_postgres(&data_dir);
        }
        program.kill();
        program = builder.start().await;
        println!("kill {kill} of {kills}, after {} acknowledged messages", journal.len());
        let log = Log::open(&Network::private_database(&data_dir)).await;
        let (acknowledged, accepted) = (journal.acknowledged(), commands.all());
        let events = log.events().await;
        is_dense_and_ordered(&events);
        everything_acknowledged_is_there_once(&events, &acknowledged, &accepted);
        log.views_equal_a_fresh_fold().await;
        log.close().await;
        for (line, account, topic) in &lines {
            holds_what_queries_say(line, account, topic).await;
            holds_all_open_sessions(line, account, topic).await;
        }
    }

    within("everybody to go home", town.rest()).await;
    for charger in town.chargers() {
        within(charger.id(), charger.wait_for(|view| view.is_settled())).await.expect("it is switched on");
    }
    // A charge that was asked for and never began fails after its deadline; everything else has ended.
    let no_items = |list: &Value| list["items"].as_array().is_some_and(Vec::is_empty);
    until(&operator, "/api/sessions?state=requested,active,stopping", no_items).await;
    let (fleet, account, _) = &lines[0];
    for (line, _, topic) in &lines {
        let none = line.wait_for(|held| {
            let keys = held.topic(topic).into_iter().flat_map(|topic| topic.resources.keys());
            keys.filter(|key| key.starts_with("session:")).count() == 0
        });
        within("nobody to hold a charge that is over", none).await.expect("the line is open");
        holds_what_queries_say(line, account, topic).await;
    }
    let chargers = fleet
        .held()
        .topic("fleet")
        .map_or(0, |fleet| fleet.resources.keys().filter(|key| key.starts_with("charger:")).count());
    assert_eq!(chargers, CHARGERS, "every charger is held");
    assert_eq!(journal.refused(), Vec::<String>::new(), "nothing was answered with a CALLERROR");
    let log = Log::open(&Network::private_database(&data_dir)).await;
    let events = log.events().await;
    everything_acknowledged_is_there_once(&events, &journal.acknowledged(), &commands.all());
    log.views_equal_a_fresh_fold().await;
    log.close().await;
    program.stop();
}

/// What watches the town from the outside.
struct Seen {
    journal: Arc<Journal>,
    commands: Arc<Commands>,
    town: Town,
    operator: Account,
    /// With whose they are, and the topic: first the operator's.
    lines: Vec<(Line, Account, &'static str)>,
}

impl Seen {
    async fn of(network: &Network, seed: u64) -> Self {
        let (journal, commands) = (Arc::new(Journal::default()), Arc::new(Commands::default()));
        let mut chargers = vec![];
        for number in 0..CHARGERS {
            let registered = network.charger().await;
            chargers.push(ChargerConfig {
                witness: Some(journal.clone()),
                sample_interval: Duration::from_millis(400),
                answer_wait: Duration::from_secs(5),
                boots_on_reconnect: number % 3 != 0,
                reuses_message_ids: number % 4 == 0,
                seed,
                ..network.simulated(&registered)
            });
        }
        let operator = network.operator().await;
        let mut lines = vec![(network.line(&operator, &["fleet"]), operator.clone(), "fleet")];
        let mut residents = vec![];
        for number in 0..RESIDENTS {
            let card = (number % 2 == 0).then(|| format!("CARD{number:04}"));
            let person = network.person();
            let account = network.customer(person.clone(), card.as_deref()).await;
            lines.push((network.line(&account, &["me"]), account, "me"));
            residents.push(ResidentConfig { person, card });
        }
        let town = Town::spawn(TownConfig {
            http: network.http.clone(),
            ws: network.ws.clone(),
            chargers,
            residents,
            pace: Pace::hectic(),
            witness: Some(commands.clone()),
            seed,
        });
        Self { journal, commands, town, operator, lines }
    }
}

/// What an acknowledged message and its event have in common.
type Fact = (String, &'static str, String);

/// How often each fact is in the log.
fn facts(events: &[RecordedEvent]) -> HashMap<Fact, u32> {
    let mut identities = HashMap::new();
    let mut transactions = HashMap::new();
    let mut facts: HashMap<Fact, u32> = HashMap::new();
    for recorded in events {
        let device_at = recorded.envelope.times.as_ref().and_then(|times| times.device_at.clone()).unwrap_or_default();
        let mut tell = |charge_point, what, detail: String| {
            let charger: &String = &identities[&charge_point];
            *facts.entry((charger.clone(), what, detail)).or_default() += 1;
        };
        match decoded(recorded) {
            Event::ChargePoint(ChargePointEvent::ChargePointRegistered(registered)) => {
                identities.insert(recorded.stream.id, registered.identity.as_str().to_owned());
            }
            Event::ChargePoint(ChargePointEvent::ConnectorStatusReported { outlet, ocpp_status, .. }) => {
                let outlet = outlet.map_or(0, |outlet| outlet.evse_id.0.into());
                tell(recorded.stream.id, "StatusNotification", status_fact(outlet, ocpp_status, &device_at));
            }
            Event::ChargingSession(SessionEvent::TransactionStarted(started)) => {
                transactions.insert(recorded.stream.id, started.transaction_id.0.clone());
                let charge_point = started.charge_point_id.0;
                tell(charge_point, "StartTransaction", format!("{} at {device_at}", started.transaction_id.0));
            }
            Event::ChargingSession(SessionEvent::MeterValuesRecorded(recorded_readings)) => {
                let transaction_id = &transactions[&recorded.stream.id];
                for reading in &recorded_readings.readings {
                    let context = reading.reading.sampled[0].context.as_deref().unwrap_or_default();
                    let detail = format!("{transaction_id} {context} at {}", reading.reading.timestamp);
                    tell(recorded.partition_key, "MeterValues", detail);
                }
            }
            Event::ChargingSession(SessionEvent::TransactionEnded(_)) => {
                let transaction_id = &transactions[&recorded.stream.id];
                tell(recorded.partition_key, "StopTransaction", format!("{transaction_id} at {device_at}"));
            }
            _ => {}
        }
    }
    facts
}

fn status_fact(outlet: i64, status: &str, at: &str) -> String {
    format!("{outlet} {status} at {at}")
}

/// The fact that a message must have become.
fn fact(message: &Acknowledged) -> Option<Fact> {
    let Acknowledged { charger_id, action, payload, answer } = message;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let detail = match *action {
        "StatusNotification" => {
            let outlet = payload["connectorId"].as_i64().unwrap_or_default();
            status_fact(outlet, &text(&payload["status"]), &text(&payload["timestamp"]))
        }
        "StartTransaction" => format!("{} at {}", answer["transactionId"], text(&payload["timestamp"])),
        "MeterValues" if payload["transactionId"].is_i64() => {
            let reading = &payload["meterValue"][0];
            let context = text(&reading["sampledValue"][0]["context"]);
            format!("{} {context} at {}", payload["transactionId"], text(&reading["timestamp"]))
        }
        "StopTransaction" => format!("{} at {}", payload["transactionId"], text(&payload["timestamp"])),
        _ => return None,
    };
    Some((charger_id.clone(), action, detail))
}

fn everything_acknowledged_is_there_once(
    events: &[RecordedEvent],
    acknowledged: &[Acknowledged],
    accepted_commands: &[String],
) {
    let facts = facts(events);
    for message in acknowledged {
        if let Some(fact) = fact(message) {
            assert_eq!(facts.get(&fact), Some(&1), "{fact:?} of {message:?}");
        }
    }
    let mut begun: HashMap<String, u32> = HashMap::new();
    for event in events {
        let command_id = match event.event.as_deref() {
            Ok(Event::StationCommand(StationCommandEvent::StationCommandRequested(request))) => request.command_id,
            // At one's own session, which a card began, there was nothing to ask the charger for.
            Ok(Event::ChargingSession(SessionEvent::StartAnswered { command_id })) => *command_id,
            _ => continue,
        };
        *begun.entry(command_id.to_string()).or_default() += 1;
    }
    for command_id in accepted_commands {
        assert_eq!(begun.get(command_id), Some(&1), "the command {command_id} was taken");
    }
    // A transaction is one session's, begun once and ended once at most.
    let once = |what: &str| {
        let facts = facts.iter().filter(|((_, action, _), _)| *action == what);
        let mut transactions: HashMap<(&str, &str), u32> = HashMap::new();
        for ((charger, _, detail), times) in facts {
            let transaction_id = detail.split(' ').next().unwrap_or_default();
            *transactions.entry((charger, transaction_id)).or_default() += times;
        }
        for (transaction, times) in transactions {
            assert_eq!(times, 1, "{what} of {transaction:?}");
        }
    };
    once("StartTransaction");
}

fn kill_postgres(data_dir: &Path) {
    let pid = std::fs::read_to_string(data_dir.join("postgres/data/postmaster.pid")).expect("Postgres runs");
    let pid = pid.lines().next().expect("it has a pid").to_owned();
    let sent = Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
    assert!(sent.success(), "Postgres was gone before it was killed");
}
