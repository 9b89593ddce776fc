//! What a charger's message and its event have in common.

use std::fmt::Write as _;

use domain::meter::MeterReading;
use serde_json::Value;
use simulator::charger::Acknowledged;

/// Something that a charger said, which the log has once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    Status {
        outlet: i64,
        status: String,
        at: String,
    },
    Start {
        transaction_id: String,
        outlet: i64,
        at: String,
    },
    /// Of a transaction, with all that was sampled.
    Reading {
        transaction_id: String,
        reading: String,
    },
    /// Of an outlet: no transaction was named with it.
    ReadingOfOutlet {
        outlet: i64,
        reading: String,
    },
    Stop {
        transaction_id: String,
        at: String,
    },
}

/// All that a message says. Nothing of a BootNotification and an Authorize: those are known by their time alone.
pub fn facts_of(message: &Acknowledged) -> Vec<Fact> {
    let Acknowledged { action, payload, answer, .. } = message;
    let outlet = payload["connectorId"].as_i64().unwrap_or_default();
    let at = text(&payload["timestamp"]);
    match *action {
        "StatusNotification" => vec![Fact::Status { outlet, status: text(&payload["status"]), at }],
        "StartTransaction" => {
            vec![Fact::Start { transaction_id: answer["transactionId"].to_string(), outlet, at }]
        }
        "MeterValues" if payload["transactionId"].is_i64() => readings_of_transaction(payload, "meterValue").collect(),
        "MeterValues" => {
            let readings = said(payload, "meterValue");
            readings.map(|reading| Fact::ReadingOfOutlet { outlet, reading }).collect()
        }
        "StopTransaction" => {
            let stop = Fact::Stop { transaction_id: payload["transactionId"].to_string(), at };
            readings_of_transaction(payload, "transactionData").chain([stop]).collect()
        }
        _ => vec![],
    }
}

fn readings_of_transaction<'m>(payload: &'m Value, list: &str) -> impl Iterator<Item = Fact> + use<'m> {
    let transaction_id = payload["transactionId"].to_string();
    said(payload, list).map(move |reading| Fact::Reading { transaction_id: transaction_id.clone(), reading })
}

/// Every reading of a message, whole.
fn said<'m>(payload: &'m Value, list: &str) -> impl Iterator<Item = String> + use<'m> {
    payload[list].as_array().into_iter().flatten().map(|reading| {
        let mut whole = text(&reading["timestamp"]);
        for sampled in reading["sampledValue"].as_array().into_iter().flatten() {
            let of = ["value", "measurand", "context", "phase", "location", "unit", "format"];
            sampled_text(&mut whole, of.map(|name| sampled[name].as_str()));
        }
        whole
    })
}

/// A reading as the log has it, in the same words as one of a message.
pub fn recorded_reading(reading: &MeterReading) -> String {
    let mut whole = reading.timestamp.clone();
    for sampled in &reading.sampled {
        let words =
            [&sampled.measurand, &sampled.context, &sampled.phase, &sampled.location, &sampled.unit, &sampled.format];
        let [measurand, context, phase, location, unit, format] = words.map(Option::as_deref);
        sampled_text(&mut whole, [Some(sampled.value.as_str()), measurand, context, phase, location, unit, format]);
    }
    whole
}

fn sampled_text(whole: &mut String, words: [Option<&str>; 7]) {
    let words = words.map(Option::unwrap_or_default).join(",");
    write!(whole, "; {words}").expect("a text can be written to");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
