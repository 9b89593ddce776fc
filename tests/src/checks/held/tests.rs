use domain::charge_point::ChargePointEvent;
use domain::id::EvseId;
use domain::station_command::{StationAction, StationCommandEvent};
use serde_json::json;

use super::*;
use crate::checks::made_up::MadeUp;

const BEGAN: &str = "2026-03-01T10:00:00.000Z";
const ENDED: &str = "2026-03-01T10:01:00.000Z";

/// One that is queued, and one that was done.
fn commands() -> (MadeUp, CommandId, CommandId) {
    let mut log = MadeUp::new();
    let [waits, done] = [(); 2].map(|()| {
        let command_id = log.requests(StationAction::ClearCache {});
        log.of_charger(ChargePointEvent::CommandQueued { command_id }, None);
        command_id
    });
    log.sends(done);
    for event in [
        StationCommandEvent::StationCommandAccepted { answer: json!({"status": "Accepted"}) },
        StationCommandEvent::StationCommandDone {},
    ] {
        log.append(done.0, Event::StationCommand(event), None);
    }
    (log, waits, done)
}

fn charge() -> (MadeUp, SessionId) {
    let mut log = MadeUp::new();
    let session_id = log.starts(41, BEGAN, 100);
    let claimed = ChargePointEvent::EvseClaimed {
        evse_id: EvseId(1),
        session_id,
        command_id: None,
        driver_id: None,
        remote_tag: None,
    };
    log.of_charger(claimed, None);
    (log, session_id)
}

#[test]
fn what_is_not_over_holds_what_it_needs() {
    let (mut log, _, command_id) = commands();
    log.of_charger(ChargePointEvent::CommandSettled { command_id }, None);
    nothing_is_held_by_what_is_over(&log.events);

    let (mut log, session_id) = charge();
    nothing_is_held_by_what_is_over(&log.events);
    log.stops(session_id, ENDED, 200);
    log.of_charger(ChargePointEvent::EvseReleased { evse_id: EvseId(1), session_id }, None);
    nothing_is_held_by_what_is_over(&log.events);
}

#[test]
#[should_panic(expected = "is done, and still queued")]
fn a_command_that_stays_in_the_queue_is_found() {
    nothing_is_held_by_what_is_over(&commands().0.events);
}

#[test]
#[should_panic(expected = "is requested, and in no queue")]
fn a_command_that_left_the_queue_too_early_is_found() {
    let (mut log, waits, done) = commands();
    for command_id in [waits, done] {
        log.of_charger(ChargePointEvent::CommandSettled { command_id }, None);
    }
    nothing_is_held_by_what_is_over(&log.events);
}

#[test]
#[should_panic(expected = "which is over")]
fn an_evse_that_a_charge_holds_when_it_is_over_is_found() {
    let (mut log, session_id) = charge();
    log.stops(session_id, ENDED, 200);
    nothing_is_held_by_what_is_over(&log.events);
}
