//! The life of a session: requested → active → ended → departed, each of which may be missing or late.

use domain::Refusal;
use domain::charge_point::{Authorization, AuthorizationStatus, Limits};
use domain::id::{ConnectorId, EvseId, TransactionId};
use domain::meter::{MeterReading, SampledValue};
use domain::published_tariff::Pricing;
use domain::session::SessionCommand::{
    Depart, EndTransaction, FailStart, FailStop, PresumeEnded, RecordReadings, ReportChargingState, RequestStop,
    StartTransaction,
};
use domain::session::{
    ChargingSession, RecordedReading, RecordedReadings, SessionCommand, SessionEvent, SessionRequest, SessionState,
    TransactionEnd, TransactionEnded, TransactionStarted,
};
use domain::tariff::Tariff;
use domain::word::{ChargingState, Flag, StopReason};
use rust_decimal::Decimal;
use serde_json::json;

use crate::support::{at, decide, id, state};

/// Fifty cents a kWh; six euros an hour for parking.
pub fn pricing() -> Pricing {
    let components = json!([{"type": "ENERGY", "price": "0.50"}, {"type": "PARKING_TIME", "price": "6"}]);
    let content = json!({"currency": "EUR", "tax_included": true, "elements": [{"price_components": components}]});
    let tariff = Tariff::parse(&content).unwrap();
    Pricing { tariff_id: id(30), version: 1, tariff, time_zone: chrono_tz::Europe::Berlin }
}

fn authorization() -> Authorization {
    Authorization {
        authorization_id: id(40),
        status: AuthorizationStatus::Accepted,
        token_id: None,
        evse_id: Some(EvseId(1)),
        driver_id: Some(id(7)),
        group: Some("GROUP".into()),
        plan_id: Some(id(8)),
        limits: Limits { energy_wh: Some(Decimal::from(50_000)), ..Limits::default() },
        decided_at: at(0),
        expires_at: None,
    }
}

pub fn request() -> SessionRequest {
    SessionRequest {
        session_id: id(1),
        charge_point_id: id(2),
        evse_id: EvseId(1),
        connector_id: Some(ConnectorId(1)),
        command_id: id(3),
        driver_id: Some(id(7)),
        authorization: authorization(),
        remote_tag: "TAG".into(),
        remote_start_id: 5,
        pricing: Some(pricing()),
        requested_at: at(0),
        deadline_at: at(3),
    }
}

pub fn requested() -> SessionEvent {
    SessionEvent::SessionRequested(Box::new(request()))
}

/// At ten o'clock, at 1,000 Wh, and nothing said that the request says.
pub fn beginning() -> TransactionStarted {
    TransactionStarted {
        session_id: id(1),
        charge_point_id: id(2),
        evse_id: Some(EvseId(1)),
        connector_id: Some(ConnectorId(1)),
        transaction_id: TransactionId("17".into()),
        started_at: Some(at(0)),
        received_at: at(0),
        meter_start_wh: Some(Decimal::from(1_000)),
        content_hash: Some("start".into()),
        max_power_w: None,
        token_id: None,
        driver_id: None,
        authorization: None,
        pricing: None,
        remote_start_id: None,
        seq_no: None,
        trigger_reason: None,
        charging_state: None,
        offline: false,
        reservation_id: None,
        limits: Limits::default(),
        continues_session_id: None,
        flags: vec![],
    }
}

pub fn started() -> SessionEvent {
    SessionEvent::TransactionStarted(Box::new(beginning()))
}

/// The register at so many minutes past ten; its content is its retry's.
pub fn reading(minute: i64, wh: i64) -> RecordedReadings {
    let sampled = SampledValue { value: wh.to_string(), ..SampledValue::default() };
    let reading = MeterReading::new(at(minute).to_rfc3339(), vec![sampled]);
    RecordedReadings {
        readings: vec![RecordedReading { occurred_at: Some(at(minute)), reading }],
        content_hash: format!("{minute}:{wh}"),
        seq_no: None,
        received_at: at(minute),
    }
}

pub fn read(minute: i64, wh: i64) -> SessionEvent {
    SessionEvent::MeterValuesRecorded(reading(minute, wh))
}

pub fn ending(minute: i64, wh: i64) -> TransactionEnded {
    TransactionEnded {
        stopped_at: Some(at(minute)),
        received_at: at(minute),
        meter_stop_wh: Some(Decimal::from(wh)),
        stop_reason: StopReason::LOCAL,
        token_id: None,
        seq_no: None,
        flags: vec![],
    }
}

pub fn end(minute: i64, wh: i64) -> SessionCommand {
    EndTransaction(TransactionEnd { ended: ending(minute, wh), readings: vec![] })
}

fn start() -> SessionCommand {
    StartTransaction(Box::new(beginning()))
}

fn fail_start() -> SessionCommand {
    FailStart { code: "not-plugged-in", detail: "Nobody plugged in.".into(), at: at(3) }
}

fn stop(command: u128) -> SessionCommand {
    RequestStop { command_id: id(command), at: at(20) }
}

/// What follows from each command in turn, in a few words each.
pub fn story(begun: Vec<SessionEvent>, commands: Vec<SessionCommand>) -> (Vec<String>, ChargingSession) {
    let (mut history, mut story) = (begun, vec![]);
    for command in commands {
        match decide::<ChargingSession>(history.clone(), command) {
            Ok(events) => {
                story.extend(events.iter().map(told));
                history.extend(events);
            }
            Err(refusal) => story.push(format!("refused: {}", refusal.code())),
        }
    }
    (story, state(history))
}

fn told(event: &SessionEvent) -> String {
    let flagged = |what: &str, flags: &[Flag]| {
        let flags: Vec<_> = flags.iter().map(Flag::as_str).collect();
        if flags.is_empty() { what.to_owned() } else { format!("{what}, {}", flags.join(", ")) }
    };
    match event {
        SessionEvent::SessionRequested(_) => "requested".into(),
        SessionEvent::TransactionStarted(started) => flagged("started", &started.flags),
        SessionEvent::MeterValuesRecorded(_) => "readings".into(),
        SessionEvent::ChargingStateChanged { charging_state, .. } => charging_state.to_string(),
        SessionEvent::StopRequested { .. } => "stop requested".into(),
        SessionEvent::StopFailed { .. } => "stop failed".into(),
        SessionEvent::TransactionEnded(ended) => {
            let at = ended.stopped_at.map_or("?".into(), |at| at.format("%H:%M").to_string());
            flagged(&format!("ended {at}"), &ended.flags)
        }
        SessionEvent::SessionPriced { revision, priced } => {
            let estimated = if priced.estimated { ", estimated" } else { "" };
            format!("price {revision}: {}{estimated}", priced.total)
        }
        SessionEvent::Departed { at } => format!("departed {}", at.format("%H:%M")),
        SessionEvent::SessionFailed { code, .. } => format!("failed: {code}"),
        SessionEvent::SessionFlagged { flags } => flagged("flagged", flags),
        SessionEvent::StartAnswered { .. } => "start answered".into(),
    }
}

/// Given these events, when these commands come in turn, then this story and this state.
type Life = (&'static str, Vec<SessionEvent>, Vec<SessionCommand>, Vec<&'static str>, SessionState);

#[test]
fn a_session_from_request_to_end() {
    use SessionState::{Active, Completed, Failed, Requested, Stopping};
    let ask = || SessionCommand::Request(Box::new(request()));
    let charging = || ReportChargingState { charging_state: ChargingState::CHARGING, at: Some(at(1)) };
    let fail_stop = |command| FailStop { command_id: id(command), detail: "refused".into() };
    let active = || vec![requested(), started()];
    let both = |first: SessionEvent, second: SessionEvent| vec![first, second];
    let stopping = SessionEvent::StopRequested { command_id: id(4), at: at(20) };
    let priced = "price 1: 5.00 EUR";
    #[rustfmt::skip]
    let table: Vec<Life> = vec![
        ("asked for", vec![], vec![ask()], vec!["requested"], Requested),
        ("asked for twice", vec![requested()], vec![ask()], vec!["refused: already-exists"], Requested),
        ("begun", vec![requested()], vec![start()], vec!["started"], Active),
        ("begun twice", active(), vec![start()], vec![], Active),
        ("begun at the charger, without a request", vec![], vec![start()], vec!["started"], Active),
        ("never begun", vec![requested()], vec![fail_start()], vec!["failed: not-plugged-in"], Failed),
        ("failed after it had begun", active(), vec![fail_start()], vec![], Active),
        ("begun too late", vec![requested()], vec![fail_start(), start()], vec!["failed: not-plugged-in", "started, late_start"], Active),
        ("cancelled", vec![requested()], vec![stop(4)], vec!["failed: cancelled"], Failed),
        ("cancelled, and begun all the same", vec![requested()], vec![stop(4), start()], vec!["failed: cancelled", "started, late_start, cancelled"], Active),
        ("asked to stop", active(), vec![stop(4)], vec!["stop requested"], Stopping),
        ("asked to stop twice", active(), vec![stop(4), stop(5)], vec!["stop requested"], Stopping),
        ("the stop was refused", both(requested(), started()), vec![stop(4), fail_stop(4)], vec!["stop requested", "stop failed"], Active),
        ("asked again after a refusal", active(), vec![stop(4), fail_stop(4), stop(5)], vec!["stop requested", "stop failed", "stop requested"], Stopping),
        ("another stop was refused", active(), vec![stop(4), fail_stop(5)], vec!["stop requested"], Stopping),
        ("the stop failed, but it has ended", active(), vec![stop(4), end(60, 11_000), fail_stop(4)], vec!["stop requested", "ended 11:00", priced], Completed),
        ("ended", active(), vec![end(60, 11_000)], vec!["ended 11:00", priced], Completed),
        ("ended as it was asked to", [active(), vec![stopping]].concat(), vec![end(60, 11_000)], vec!["ended 11:00", priced], Completed),
        ("asked to stop when it was over", active(), vec![end(60, 11_000), stop(4)], vec!["ended 11:00", priced, "refused: session-over"], Completed),
        ("asked to stop when it had failed", vec![requested()], vec![fail_start(), stop(4)], vec!["failed: not-plugged-in", "refused: session-over"], Failed),
        ("charging", active(), vec![charging(), charging()], vec!["Charging"], Active),
        ("charging, it is said after the end", active(), vec![end(60, 11_000), charging()], vec!["ended 11:00", priced], Completed),
        ("departed before it ended", active(), vec![Depart { at: at(60) }], vec![], Active),
        ("nobody knows it", vec![], vec![stop(4)], vec!["refused: session-unknown"], Requested),
    ];
    for (case, given, when, then, expected) in table {
        let (story, session) = story(given, when);
        assert_eq!((story, session.state), (then.into_iter().map(str::to_owned).collect(), expected), "{case}");
    }
}

#[test]
fn what_the_start_leaves_open_is_the_requests() {
    let session = state::<ChargingSession>(vec![requested(), started()]);
    assert_eq!((session.driver_id, session.group.as_deref()), (Some(id(7)), Some("GROUP")));
    assert_eq!((session.pricing.as_ref(), session.remote_tag.as_deref()), (Some(&pricing()), Some("TAG")));
    assert_eq!(session.limits.energy_wh, Some(Decimal::from(50_000)));

    let limits = Limits { time_s: Some(3_600), ..Limits::default() };
    let own = TransactionStarted { token_id: Some(id(9)), driver_id: Some(id(10)), limits, ..beginning() };
    let session = state::<ChargingSession>(vec![requested(), SessionEvent::TransactionStarted(Box::new(own))]);
    assert_eq!((session.driver_id, session.token_id), (Some(id(10)), Some(id(9))));
    assert_eq!((session.limits.energy_wh, session.limits.time_s), (Some(Decimal::from(50_000)), Some(3_600)));

    // A remote start for somebody's card.
    let mut of_card = request();
    of_card.authorization.token_id = Some(id(9));
    let session = state::<ChargingSession>(vec![SessionEvent::SessionRequested(Box::new(of_card)), started()]);
    assert_eq!(session.token_id, Some(id(9)));
}

#[test]
fn readings() {
    let active = || vec![requested(), started()];
    let again = || RecordReadings(reading(30, 6_000));
    let (story_of_retry, session) = story(active(), vec![again(), again()]);
    assert_eq!(story_of_retry, ["readings"], "a retry is known by its content");
    assert_eq!(session.energy_wh(), Some(Decimal::from(5_000)));
    assert_eq!(session.metered_at, Some(at(30)));

    let (_, session) = story(active(), vec![again(), RecordReadings(reading(15, 3_500))]);
    assert_eq!((session.energy_wh(), session.metered_at), (Some(Decimal::from(5_000)), Some(at(30))), "a late one");

    let many = (1..=40).map(|minute| RecordReadings(reading(minute, 1_000 + minute)));
    let (told, session) = story(active(), many.collect());
    assert_eq!(told.len(), 40);
    assert!(session.has_readings("40:1040") && !session.has_readings("1:1001"), "the last 32 are remembered");

    // Where OCPP 2.x numbers its messages, readings can come before their start.
    let (told, session) = story(vec![requested(), read(30, 6_000)], vec![start()]);
    assert_eq!((told, session.energy_wh()), (vec!["started".to_owned()], Some(Decimal::from(5_000))));
    assert_eq!(session.price().map(|priced| priced.total.to_string()).as_deref(), Some("2.50 EUR"));
}

#[test]
fn power_and_charge_are_those_of_now() {
    let with_power = |minute: i64, wh: i64, watts: &str| {
        let mut recorded = reading(minute, wh);
        let power = SampledValue {
            value: watts.into(),
            measurand: Some("Power.Active.Import".into()),
            unit: Some("W".into()),
            ..SampledValue::default()
        };
        recorded.readings[0].reading.sampled.push(power);
        RecordReadings(recorded)
    };
    let active = || vec![requested(), started()];
    let (_, session) = story(active(), vec![with_power(30, 6_000, "7000"), with_power(15, 3_500, "11000")]);
    assert_eq!(session.power_w, Some(Decimal::from(7_000)));
    let (_, session) = story(active(), vec![with_power(30, 6_000, "7000"), end(60, 11_000)]);
    assert_eq!(session.power_w, None);
    let (_, session) = story(active(), vec![end(60, 11_000), with_power(61, 11_000, "7000")]);
    assert_eq!(session.power_w, None, "nor does a reading after the stop make it charge again");
}

#[test]
fn silence_is_heard() {
    let quiet = state::<ChargingSession>(vec![requested(), started(), read(30, 6_000)]);
    assert_eq!(quiet.heard_at, Some(at(30)));
    let state_changed =
        SessionEvent::ChargingStateChanged { charging_state: ChargingState::SUSPENDED_EV, at: Some(at(45)) };
    let suspended = state::<ChargingSession>(vec![requested(), started(), read(30, 6_000), state_changed]);
    assert_eq!(suspended.heard_at, Some(at(45)));
}

#[test]
fn commands_for_no_session() {
    let commands =
        [RecordReadings(reading(1, 1)), end(1, 1), fail_start(), PresumeEnded { at: at(1) }, Depart { at: at(1) }];
    for command in commands {
        assert_eq!(decide::<ChargingSession>(vec![], command), Err(Refusal::SessionUnknown));
    }
}
