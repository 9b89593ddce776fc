use domain::charge_point::{Authorization, AuthorizationStatus, Limits};
use domain::id::{AuthorizationId, EvseId, Sealed, SessionId};
use domain::meter::{MeterReading, SampledValue};
use domain::outlet::OutletStatus;
use domain::session::{RecordedReading, RecordedReadings};
use serde_json::json;

use super::*;
use crate::checks::made_up::{MadeUp, acknowledged, outlet};

const BEGAN: &str = "2026-03-01T10:00:00.000Z";
const TAKEN: &str = "2026-03-01T10:01:00.000Z";

fn check(made_up: &MadeUp, message: &Acknowledged) {
    everything_acknowledged_is_there_once(&made_up.events, std::slice::from_ref(message), &[]);
}

fn start(answered: i32) -> Acknowledged {
    let payload = json!({"connectorId": 1, "idTag": "CARD", "meterStart": 100, "timestamp": BEGAN});
    acknowledged("StartTransaction", payload, json!({"transactionId": answered}), moment_of_no_account())
}

/// Of what is known by its content.
fn moment_of_no_account() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

#[test]
fn a_start_is_there_once() {
    let mut log = MadeUp::new();
    log.starts(41, BEGAN, 100);
    log.starts(42, TAKEN, 200);
    check(&log, &start(41));
}

/// The first was committed and its answer lost, the second is what the charger knows.
#[test]
#[should_panic(expected = "the transactions that one start has become")]
fn a_start_under_two_numbers_is_found() {
    let mut log = MadeUp::new();
    log.starts(41, BEGAN, 100);
    log.starts(42, BEGAN, 100);
    check(&log, &start(42));
}

#[test]
#[should_panic(expected = "has become the transactions [\"41\", \"42\"]")]
fn two_numbers_are_found_though_neither_was_acknowledged() {
    let mut log = MadeUp::new();
    log.starts(41, BEGAN, 100);
    log.starts(42, BEGAN, 100);
    everything_acknowledged_is_there_once(&log.events, &[], &[]);
}

#[test]
#[should_panic(expected = "how often")]
fn a_start_that_is_missing_is_found() {
    check(&MadeUp::new(), &start(41));
}

fn boot(around: DateTime<Utc>) -> Acknowledged {
    acknowledged("BootNotification", json!({}), json!({"status": "Accepted"}), around)
}

#[test]
fn each_boot_is_there_by_its_time() {
    let mut log = MadeUp::new();
    let (first, _) = (log.next(), log.boots());
    let (second, _) = (log.next(), log.boots());
    everything_acknowledged_is_there_once(&log.events, &[boot(first), boot(second)], &[]);
}

#[test]
#[should_panic(expected = "how often it is recorded")]
fn a_boot_that_is_missing_is_found_though_there_is_another() {
    let mut log = MadeUp::new();
    log.boots();
    check(&log, &boot(log.next()));
}

#[test]
#[should_panic(expected = "how often it is recorded")]
fn a_boot_that_is_there_twice_is_found() {
    let mut log = MadeUp::new();
    let at = log.next();
    log.boots();
    let mut twice = log.events[1].clone();
    twice.position.0 += 1;
    twice.sequence += 1;
    log.events.push(twice);
    check(&log, &boot(at));
}

fn decides(log: &mut MadeUp, evse_id: Option<EvseId>) -> DateTime<Utc> {
    let at = log.next();
    let authorization = Authorization {
        authorization_id: AuthorizationId::default(),
        status: AuthorizationStatus::Accepted,
        token_id: None,
        evse_id,
        driver_id: None,
        group: None,
        plan_id: None,
        limits: Limits::default(),
        decided_at: at,
        expires_at: None,
    };
    log.of_charger(ChargePointEvent::AuthorizationDecided(authorization), None);
    at
}

fn asks_for(tag: &str, around: DateTime<Utc>) -> Acknowledged {
    acknowledged("Authorize", json!({"idTag": tag}), json!({}), around)
}

#[test]
fn a_decision_on_a_card_is_there() {
    let mut log = MadeUp::new();
    let at = decides(&mut log, None);
    check(&log, &asks_for("CARD", at));
}

#[test]
#[should_panic(expected = "how often it is recorded")]
fn a_decision_that_came_with_a_start_is_not_taken_for_it() {
    let mut log = MadeUp::new();
    let at = decides(&mut log, Some(EvseId(1)));
    check(&log, &asks_for("CARD", at));
}

#[test]
fn a_tag_that_the_charger_was_given_needs_no_decision() {
    let mut log = MadeUp::new();
    let claimed = ChargePointEvent::EvseClaimed {
        evse_id: EvseId(1),
        session_id: SessionId::default(),
        command_id: None,
        driver_id: None,
        remote_tag: Some("abcd".to_owned()),
    };
    log.of_charger(claimed, None);
    check(&log, &asks_for("ABCD", log.next()));
}

fn reading(at: &str, values: &[&str]) -> MeterReading {
    let sampled = values.iter().map(|value| SampledValue { unit: Some("Wh".to_owned()), ..SampledValue::of(*value) });
    MeterReading::new(at, sampled.collect())
}

fn said_reading(at: &str, values: &[&str]) -> Value {
    let sampled: Vec<_> = values.iter().map(|value| json!({"value": value, "unit": "Wh"})).collect();
    json!({"timestamp": at, "sampledValue": sampled})
}

fn records(log: &mut MadeUp, session: SessionId, readings: Vec<MeterReading>) {
    let readings = readings.into_iter().map(|reading| RecordedReading { occurred_at: None, reading }).collect();
    let received_at = log.next();
    let recorded = RecordedReadings { readings, content_hash: String::new(), seq_no: None, received_at };
    log.of_session(session, SessionEvent::MeterValuesRecorded(recorded), None);
}

fn readings_of_41(readings: &[Value]) -> Acknowledged {
    let payload = json!({"connectorId": 1, "transactionId": 41, "meterValue": readings});
    acknowledged("MeterValues", payload, json!({}), moment_of_no_account())
}

#[test]
fn every_reading_is_there() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    records(&mut log, session, vec![reading(TAKEN, &["1", "2"]), reading(TAKEN, &["3"])]);
    check(&log, &readings_of_41(&[said_reading(TAKEN, &["1", "2"]), said_reading(TAKEN, &["3"])]));
    // Without the transaction it is known by its outlet.
    let payload = json!({"connectorId": 1, "meterValue": [said_reading(TAKEN, &["3"])]});
    check(&log, &acknowledged("MeterValues", payload, json!({}), moment_of_no_account()));
}

#[test]
#[should_panic(expected = "how often")]
fn a_second_reading_that_is_missing_is_found() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    records(&mut log, session, vec![reading(TAKEN, &["1", "2"])]);
    check(&log, &readings_of_41(&[said_reading(TAKEN, &["1", "2"]), said_reading(TAKEN, &["3"])]));
}

#[test]
#[should_panic(expected = "how often")]
fn a_value_of_a_reading_that_is_missing_is_found() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    records(&mut log, session, vec![reading(TAKEN, &["1"])]);
    check(&log, &readings_of_41(&[said_reading(TAKEN, &["1", "2"])]));
}

fn stop(readings: &[Value]) -> Acknowledged {
    let payload = json!({"transactionId": 41, "timestamp": TAKEN, "transactionData": readings});
    acknowledged("StopTransaction", payload, json!({}), moment_of_no_account())
}

#[test]
fn a_stop_is_there_with_its_readings() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    records(&mut log, session, vec![reading(TAKEN, &["9"])]);
    log.stops(session, TAKEN, 200);
    check(&log, &stop(&[said_reading(TAKEN, &["9"])]));
}

#[test]
#[should_panic(expected = "how often")]
fn a_stop_without_its_readings_is_found() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    log.stops(session, TAKEN, 200);
    check(&log, &stop(&[said_reading(TAKEN, &["9"])]));
}

fn reports(log: &mut MadeUp) {
    let reported = ChargePointEvent::ConnectorStatusReported {
        outlet: Some(outlet(2)),
        status: OutletStatus::Faulted,
        ocpp_status: "Faulted".to_owned(),
        error_code: None,
        info: Some(Sealed("sealed".to_owned())),
        vendor_id: None,
        vendor_error_code: None,
        at: None,
        repeated: false,
    };
    log.of_charger(reported, Some(TAKEN));
}

fn faulted() -> Acknowledged {
    let payload = json!({"connectorId": 2, "status": "Faulted", "errorCode": "GroundFailure", "timestamp": TAKEN});
    acknowledged("StatusNotification", payload, json!({}), moment_of_no_account())
}

#[test]
fn a_status_is_there_once() {
    let mut log = MadeUp::new();
    reports(&mut log);
    check(&log, &faulted());
}

#[test]
#[should_panic(expected = "how often")]
fn a_status_that_is_there_twice_is_found() {
    let mut log = MadeUp::new();
    reports(&mut log);
    reports(&mut log);
    check(&log, &faulted());
}
