//! A town that charges, watched from the outside: what was acknowledged to chargers and people, and what phones hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::session::SessionEvent;
use domain::station_command::{StationAction, StationCommandEvent};
use domain::word::Flag;
use futures_util::{StreamExt, stream};
use schema::log::RecordedEvent;
use serde_json::Value;
use simulator::charger::{Acknowledged, Asked, ChargerConfig, Journal};
use simulator::phone::{Accepted, Account, Line};
use simulator::town::{CommandWitness, Pace, ResidentConfig, Town, TownConfig};

use crate::follow::{holds_all_open_sessions, holds_what_queries_say};
use crate::log::{Log, decoded, is_dense_and_ordered};
use crate::network::{Network, until};
use crate::within;

/// The commands of people that were taken.
#[derive(Default)]
pub struct Commands(Mutex<Vec<String>>);

impl CommandWitness for Commands {
    fn accepted(&self, command: &Accepted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(command.command_id.clone());
    }
}

impl Commands {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What watches the town from the outside.
pub struct Watched {
    pub journal: Arc<Journal>,
    pub commands: Arc<Commands>,
    pub town: Town,
    pub operator: Account,
    /// With whose they are, and the topic: first the operator's.
    pub lines: Vec<(Line, Account, &'static str)>,
    pub residents: Vec<ResidentConfig>,
}

/// Who is watched, and how they live.
#[derive(Debug, Clone)]
pub struct WatchedConfig {
    pub chargers: usize,
    pub residents: usize,
    pub pace: Pace,
    /// Between two readings of a charge.
    pub sample_interval: Duration,
    /// For how long chargers wait for an answer before they say the same again.
    pub answer_wait: Duration,
    pub seed: u64,
}

/// Registrations at a time.
const REGISTERED_AT_ONCE: usize = 8;

impl Watched {
    /// A town of so many chargers and residents, as hectic as can be.
    pub async fn new(network: &Network, chargers: usize, residents: usize, seed: u64) -> Self {
        let config = WatchedConfig {
            chargers,
            residents,
            pace: Pace::hectic(),
            sample_interval: Duration::from_millis(400),
            answer_wait: Duration::from_secs(5),
            seed,
        };
        Self::of(network, config).await
    }

    pub async fn of(network: &Network, config: WatchedConfig) -> Self {
        let (journal, commands) = (Arc::new(Journal::default()), Arc::new(Commands::default()));
        let WatchedConfig { chargers, residents, pace, sample_interval, answer_wait, seed } = config;
        // Made before those that need it are made at once.
        network.plan().await;
        let charger = async |number: usize| {
            let registered = network.charger().await;
            ChargerConfig {
                witness: Some(journal.clone()),
                sample_interval,
                answer_wait,
                boots_on_reconnect: !number.is_multiple_of(3),
                reuses_message_ids: number.is_multiple_of(4),
                seed,
                ..network.simulated(&registered)
            }
        };
        let chargers = stream::iter((0..chargers).map(charger)).buffered(REGISTERED_AT_ONCE).collect().await;
        let operator = network.operator().await;
        let mut lines = vec![(network.line(&operator, &["fleet"]), operator.clone(), "fleet")];
        let resident = async |number: usize| {
            let card = number.is_multiple_of(2).then(|| format!("CARD{number:04}"));
            let person = network.person();
            let account = network.customer(person.clone(), card.as_deref()).await;
            (account, ResidentConfig { person, card })
        };
        let made: Vec<_> = stream::iter((0..residents).map(resident)).buffered(REGISTERED_AT_ONCE).collect().await;
        let mut residents = vec![];
        for (account, resident) in made {
            lines.push((network.line(&account, &["me"]), account, "me"));
            residents.push(resident);
        }
        let town = Town::spawn(TownConfig {
            http: network.http.clone(),
            ws: network.ws.clone(),
            chargers,
            residents: residents.clone(),
            pace,
            witness: Some(commands.clone()),
            seed,
        });
        Self { journal, commands, town, operator, lines, residents }
    }

    /// What is true at any moment: the log is sound, and has everything that was acknowledged, once.
    ///
    /// # Panics
    /// When it is not.
    pub async fn is_recorded(&self, log: &Log) {
        // First what was acknowledged, then the log: what comes meanwhile is in the log alone.
        let (acknowledged, accepted, asked) = (self.journal.acknowledged(), self.commands.all(), self.journal.asked());
        let events = log.events().await;
        is_dense_and_ordered(&events);
        everything_acknowledged_is_there_once(&events, &acknowledged, &accepted);
        nothing_was_asked_twice(&events, &asked);
        nobody_is_billed_twice(&events);
        log.views_equal_a_fresh_fold().await;
    }

    /// Every phone holds, or comes to hold, what queries say.
    ///
    /// # Panics
    /// When one does not.
    pub async fn is_followed(&self) {
        for (line, account, topic) in &self.lines {
            holds_what_queries_say(line, account, topic).await;
            holds_all_open_sessions(line, account, topic).await;
        }
    }

    /// Lets everybody finish and go home, and looks at everything once more.
    ///
    /// # Panics
    /// When something was lost, or is shown otherwise than it is.
    pub async fn comes_to_rest(&mut self, database_url: &str) {
        within("everybody to go home", self.town.rest()).await;
        for charger in self.town.chargers() {
            within(charger.id(), charger.wait_for(|view| view.is_settled())).await.expect("it is switched on");
        }
        // A charge that was asked for and never began fails after its deadline; everything else has ended.
        let no_items = |list: &Value| list["items"].as_array().is_some_and(Vec::is_empty);
        until(&self.operator, "/api/sessions?state=requested,active,stopping", no_items).await;
        for (line, account, topic) in &self.lines {
            let none = line.wait_for(|held| {
                let keys = held.topic(topic).into_iter().flat_map(|topic| topic.resources.keys());
                keys.filter(|key| key.starts_with("session:")).count() == 0
            });
            within("nobody to hold a charge that is over", none).await.expect("the line is open");
            holds_what_queries_say(line, account, topic).await;
        }
        let fleet = self.lines[0].0.held();
        let held = fleet.topic("fleet").expect("it is followed");
        for charger in self.town.chargers() {
            assert!(held.resources.contains_key(&format!("charger:{}", charger.id())), "{} is held", charger.id());
        }
        assert_eq!(self.journal.refused(), Vec::<String>::new(), "nothing was answered with a CALLERROR");
        let log = Log::open(database_url).await;
        self.is_recorded(&log).await;
        log.close().await;
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

/// # Panics
/// When something is missing, or there twice.
pub fn everything_acknowledged_is_there_once(
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

/// No charger was asked for something physical more often than that very thing was recorded as sent, and for a start with its
/// one-off tag but once.
///
/// # Panics
/// When one was.
pub fn nothing_was_asked_twice(events: &[RecordedEvent], asked: &[Asked]) {
    let mut identities = HashMap::new();
    let mut requests = HashMap::new();
    let mut sent: HashMap<(String, String), usize> = HashMap::new();
    for recorded in events {
        match decoded(recorded) {
            Event::ChargePoint(ChargePointEvent::ChargePointRegistered(registered)) => {
                identities.insert(registered.charge_point_id, registered.identity.as_str().to_owned());
            }
            Event::StationCommand(StationCommandEvent::StationCommandRequested(request)) => {
                let what = match &request.action {
                    StationAction::RemoteStart { tag, .. } => format!("start {tag}"),
                    StationAction::RemoteStop { transaction_id } => format!("stop {}", transaction_id.0),
                    _ => "something else".to_owned(),
                };
                requests.insert(recorded.stream.id, (request.charge_point_id, what));
            }
            Event::StationCommand(StationCommandEvent::StationCommandSent { .. }) => {
                let (charge_point_id, what) = &requests[&recorded.stream.id];
                let charger: &String = &identities[charge_point_id];
                *sent.entry((charger.clone(), what.clone())).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut received: HashMap<(String, String), usize> = HashMap::new();
    for Asked { charger_id, action, payload } in asked {
        let what = match action.as_str() {
            "RemoteStartTransaction" => format!("start {}", payload["idTag"].as_str().unwrap_or_default()),
            "RemoteStopTransaction" => format!("stop {}", payload["transactionId"]),
            _ => "something else".to_owned(),
        };
        *received.entry((charger_id.clone(), what)).or_default() += 1;
    }
    for (of, times) in &received {
        let recorded = sent.get(of).copied().unwrap_or_default();
        assert!(*times <= recorded, "{of:?} was asked {times} times, of which {recorded} are recorded as sent");
        assert!(*times == 1 || !of.1.starts_with("start "), "{of:?} was asked for {times} times");
    }
}

/// A transaction of a charger is one session's, which ends once and has each revision of its price once.
///
/// # Panics
/// When one is not.
pub fn nobody_is_billed_twice(events: &[RecordedEvent]) {
    let mut session_of = HashMap::new();
    let mut ended: HashMap<_, u32> = HashMap::new();
    let mut priced = HashMap::new();
    for recorded in events {
        let Event::ChargingSession(event) = decoded(recorded) else { continue };
        let session = recorded.stream.id;
        match event {
            SessionEvent::TransactionStarted(started) => {
                let transaction = (started.charge_point_id, started.transaction_id.0.clone());
                let other = session_of.insert(transaction, session);
                assert!(other.is_none_or(|other| other == session), "{started:?} is of {session} and of {other:?}");
            }
            // One that was presumed may be told of by the charger after all.
            SessionEvent::TransactionEnded(end) if !end.flags.contains(&Flag::PRESUMED_ENDED) => {
                *ended.entry(session).or_default() += 1;
            }
            SessionEvent::SessionPriced { revision, priced: price } => {
                let before = priced.insert(session, (*revision, price.clone()));
                let number = before.as_ref().map_or(0, |(revision, _)| *revision);
                assert_eq!(*revision, number + 1, "a price of {session}");
                assert!(before.is_none_or(|(_, before)| before != *price), "{session} has the same price twice");
            }
            _ => {}
        }
    }
    for (session, times) in ended {
        assert_eq!(times, 1, "the transaction of {session} ended {times} times");
    }
}
