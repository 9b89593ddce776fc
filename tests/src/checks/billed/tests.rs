use super::*;
use crate::checks::made_up::MadeUp;

const BEGAN: &str = "2026-03-01T10:00:00.000Z";
const ENDED: &str = "2026-03-01T10:01:00.000Z";

#[test]
fn one_charge_after_another_is_billed_once() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    log.stops(session, ENDED, 200);
    // This one took nothing, and the next begins where it did.
    let session = log.starts(42, ENDED, 200);
    log.stops(session, ENDED, 200);
    log.starts(43, "2026-03-01T10:02:00.000Z", 200);
    nobody_is_billed_twice(&log.events);
}

#[test]
#[should_panic(expected = "is the start of another session, too")]
fn a_start_that_is_two_sessions_is_found() {
    let mut log = MadeUp::new();
    log.starts(41, BEGAN, 100);
    let session = log.starts(42, BEGAN, 100);
    log.stops(session, ENDED, 200);
    nobody_is_billed_twice(&log.events);
}

#[test]
#[should_panic(expected = "has the register up to 200 Wh")]
fn energy_that_two_sessions_have_is_found() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    log.stops(session, ENDED, 200);
    log.starts(42, ENDED, 150);
    nobody_is_billed_twice(&log.events);
}

#[test]
#[should_panic(expected = "ended 2 times")]
fn a_transaction_that_ended_twice_is_found() {
    let mut log = MadeUp::new();
    let session = log.starts(41, BEGAN, 100);
    log.stops(session, ENDED, 200);
    log.stops(session, "2026-03-01T10:02:00.000Z", 200);
    nobody_is_billed_twice(&log.events);
}
