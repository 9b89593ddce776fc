//! What was acknowledged is in the log, once.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SubsecRound, Utc};
use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::id::ChargePointId;
use domain::session::SessionEvent;
use domain::station_command::StationCommandEvent;
use domain::word::Flag;
use schema::log::{Position, RecordedEvent};
use serde_json::Value;
use simulator::charger::Acknowledged;

use super::chargers::Chargers;
use super::fact::{Fact, facts_of, recorded_reading};
use crate::log::decoded;

/// Digits of a second in an event's times.
const RECORDED_DIGITS: u16 = 6;

/// Of an event in the log, and when what it tells arrived.
type Place = (Position, Option<DateTime<Utc>>);

/// What the log has of what chargers said.
#[derive(Default)]
struct Recorded {
    /// Where it has each fact of a charger.
    facts: HashMap<(String, Fact), Vec<Place>>,
    /// When what has no time of its own arrived here: by the charger and what it is.
    arrived: HashMap<(String, &'static str), Vec<DateTime<Utc>>>,
    /// The numbers that were given to what began at an outlet of a charger in one moment.
    numbers: HashMap<(String, i64, String), Vec<String>>,
    /// One-off tags that chargers were given: to be asked for one changes nothing.
    remote_tags: HashSet<String>,
}

impl Recorded {
    fn of(events: &[RecordedEvent]) -> Self {
        let chargers = Chargers::of(events);
        let mut recorded = Self::default();
        // By session: the number of its transaction, and the outlet that it is on.
        let mut transactions = HashMap::new();
        for event in events {
            let device_at = || {
                let times = event.envelope.times.as_ref();
                times.and_then(|times| times.device_at.clone()).unwrap_or_default()
            };
            let id = ChargePointId(event.partition_key);
            match decoded(event) {
                Event::ChargePoint(ChargePointEvent::ConnectorStatusReported { outlet, ocpp_status, .. }) => {
                    let outlet = chargers.number(id, *outlet);
                    let fact = Fact::Status { outlet, status: ocpp_status.clone(), at: device_at() };
                    recorded.tell(&chargers, event, fact);
                }
                Event::ChargePoint(ChargePointEvent::ChargePointBooted { .. }) => {
                    recorded.arrives(&chargers, id, "BootNotification", event);
                }
                // Decided with a start, it names the EVSE.
                Event::ChargePoint(ChargePointEvent::AuthorizationDecided(decision)) if decision.evse_id.is_none() => {
                    recorded.arrives(&chargers, id, "Authorize", event);
                }
                Event::ChargePoint(ChargePointEvent::EvseClaimed { remote_tag: Some(tag), .. }) => {
                    recorded.remote_tags.insert(tag.to_lowercase());
                }
                Event::ChargePoint(ChargePointEvent::ReadingsReported { outlet, readings }) => {
                    let outlet = chargers.number(id, *outlet);
                    for reading in readings {
                        let reading = recorded_reading(reading);
                        recorded.tell(&chargers, event, Fact::ReadingOfOutlet { outlet, reading });
                    }
                }
                Event::ChargingSession(SessionEvent::TransactionStarted(started)) => {
                    let number = started.evse_id.zip(started.connector_id);
                    let outlet = number.map(|(evse_id, connector_id)| domain::id::Outlet { evse_id, connector_id });
                    let outlet = chargers.number(id, outlet);
                    let transaction_id = started.transaction_id.0.clone();
                    transactions.insert(event.stream.id, (transaction_id.clone(), outlet));
                    // Of one that only its stop has told of, it is not known when it began.
                    if !started.flags.contains(&Flag::START_MISSING) {
                        let began = (chargers.identity(id).to_owned(), outlet, device_at());
                        recorded.numbers.entry(began).or_default().push(transaction_id.clone());
                        recorded.tell(&chargers, event, Fact::Start { transaction_id, outlet, at: device_at() });
                    }
                }
                Event::ChargingSession(SessionEvent::MeterValuesRecorded(readings)) => {
                    let (transaction_id, outlet) = &transactions[&event.stream.id];
                    for reading in &readings.readings {
                        let (transaction_id, reading) = (transaction_id.clone(), recorded_reading(&reading.reading));
                        let of_outlet = Fact::ReadingOfOutlet { outlet: *outlet, reading: reading.clone() };
                        recorded.tell(&chargers, event, of_outlet);
                        recorded.tell(&chargers, event, Fact::Reading { transaction_id, reading });
                    }
                }
                Event::ChargingSession(SessionEvent::TransactionEnded(_)) => {
                    let transaction_id = transactions[&event.stream.id].0.clone();
                    recorded.tell(&chargers, event, Fact::Stop { transaction_id, at: device_at() });
                }
                _ => {}
            }
        }
        recorded
    }

    fn tell(&mut self, chargers: &Chargers, event: &RecordedEvent, fact: Fact) {
        let charger = chargers.identity(ChargePointId(event.partition_key)).to_owned();
        let arrived_at = event.envelope.times.as_ref().map(|times| times.received_at);
        self.facts.entry((charger, fact)).or_default().push((event.position, arrived_at));
    }

    fn arrives(&mut self, chargers: &Chargers, id: ChargePointId, action: &'static str, event: &RecordedEvent) {
        let times = event.envelope.times.as_ref().expect("a report has times");
        self.arrived.entry((chargers.identity(id).to_owned(), action)).or_default().push(times.received_at);
    }

    /// How often something without a time of its own arrived while the charger waited for its answer: it says one thing after
    /// another.
    fn arrived_within(&self, message: &Acknowledged) -> usize {
        let within = message.said_at.trunc_subsecs(RECORDED_DIGITS)..=message.answered_at;
        let arrived = self.arrived.get(&(message.charger_id.clone(), message.action));
        arrived.into_iter().flatten().filter(|at| within.contains(at)).count()
    }

    /// Whether an event is made of what is known by its time. It is of every boot, whether it says anything new or not, and
    /// of a question for a tag unless the platform itself has given the charger that tag.
    fn is_recorded_by_time(&self, message: &Acknowledged) -> bool {
        let tag = || message.payload["idTag"].as_str().unwrap_or_default().to_lowercase();
        match message.action {
            "BootNotification" => true,
            "Authorize" => !self.remote_tags.contains(&tag()),
            _ => false,
        }
    }
}

/// Every message of a charger that makes an event is in the log exactly once, with all that it said, and every command that
/// was taken is begun once. What began at an outlet in one moment is one transaction, whether it was acknowledged or not.
///
/// # Panics
/// When something is missing, or there twice.
pub fn everything_acknowledged_is_there_once(
    events: &[RecordedEvent],
    acknowledged: &[Acknowledged],
    accepted_commands: &[String],
) {
    let recorded = Recorded::of(events);
    for message in acknowledged {
        for fact in facts_of(message) {
            let fact = (message.charger_id.clone(), fact);
            let at = recorded.facts.get(&fact).map_or(&[][..], Vec::as_slice);
            assert_eq!(at.len(), 1, "how often {fact:?} is recorded (at {at:?}), of {message:?}");
        }
        if recorded.is_recorded_by_time(message) {
            assert_eq!(recorded.arrived_within(message), 1, "how often it is recorded: {message:?}");
        }
        if message.action == "StartTransaction" {
            let at = message.payload["timestamp"].as_str().unwrap_or_default().to_owned();
            let outlet = message.payload["connectorId"].as_i64().unwrap_or_default();
            let numbers = recorded.numbers.get(&(message.charger_id.clone(), outlet, at));
            let answered = vec![number(&message.answer)];
            assert_eq!(numbers, Some(&answered), "the transactions that one start has become: {message:?}");
        }
    }
    for (began, numbers) in &recorded.numbers {
        assert_eq!(numbers.len(), 1, "what began at {began:?} has become the transactions {numbers:?}");
    }
    every_command_is_begun_once(events, accepted_commands);
}

fn number(answer: &Value) -> String {
    answer["transactionId"].to_string()
}

fn every_command_is_begun_once(events: &[RecordedEvent], accepted_commands: &[String]) {
    let mut begun: HashMap<String, u32> = HashMap::new();
    for event in events {
        let command_id = match decoded(event) {
            Event::StationCommand(StationCommandEvent::StationCommandRequested(request)) => request.command_id,
            // At one's own session, which a card began, there was nothing to ask the charger for.
            Event::ChargingSession(SessionEvent::StartAnswered { command_id }) => *command_id,
            _ => continue,
        };
        *begun.entry(command_id.to_string()).or_default() += 1;
    }
    for command_id in accepted_commands {
        assert_eq!(begun.get(command_id), Some(&1), "the command {command_id} was taken");
    }
}

#[cfg(test)]
mod tests;
