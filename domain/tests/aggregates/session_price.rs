//! What a session costs at its end, and what makes a new revision of it.

use chrono::{DateTime, Utc};
use domain::session::SessionCommand::{Depart, EndTransaction, PresumeEnded, RecordReadings};
use domain::session::{
    SessionCommand, SessionEvent, SessionState, TransactionEnd, TransactionEnded, TransactionStarted,
};
use domain::word::Flag;

use crate::session::{beginning, end, ending, read, reading, requested, started, story};
use crate::support::{at, id};

fn begun(change: fn(&mut TransactionStarted)) -> Vec<SessionEvent> {
    let mut beginning = beginning();
    change(&mut beginning);
    vec![requested(), SessionEvent::TransactionStarted(Box::new(beginning))]
}

fn end_with(minute: i64, wh: i64, change: fn(&mut TransactionEnded)) -> SessionCommand {
    let mut ended = ending(minute, wh);
    change(&mut ended);
    EndTransaction(TransactionEnd { ended, readings: vec![] })
}

/// Given these events, when these commands come in turn, then this story.
type Bill = (&'static str, Vec<SessionEvent>, Vec<SessionCommand>, Vec<&'static str>);

#[test]
fn prices_and_revisions() {
    let active = || vec![requested(), started()];
    let metered = || vec![requested(), started(), read(30, 6_000)];
    let depart = |minute| Depart { at: at(minute) };
    let record = |minute, wh| RecordReadings(reading(minute, wh));
    let presume = || PresumeEnded { at: at(24 * 60) };
    let with_readings = || {
        let readings = vec![reading(30, 6_000), reading(45, 8_000)];
        EndTransaction(TransactionEnd { ended: ending(60, 11_000), readings })
    };
    let untimed = |ended: &mut TransactionEnded| ended.stopped_at = None;
    let no_start_time =
        || begun(|beginning| (beginning.started_at, beginning.flags) = (None, vec![Flag::NO_TRUSTED_TIME]));
    let start_missing = || {
        begun(|beginning| {
            (beginning.started_at, beginning.meter_start_wh) = (None, None);
            beginning.flags = vec![Flag::START_MISSING];
        })
    };
    let offline = || begun(|beginning| (beginning.offline, beginning.flags) = (true, vec![Flag::OFFLINE]));
    let unpaid = || begun(|beginning| beginning.flags = vec![Flag::UNKNOWN_TOKEN]);
    let ended = "ended 11:00";
    let price = "price 1: 5.00 EUR";
    #[rustfmt::skip]
    let table: Vec<Bill> = vec![
        ("ended", active(), vec![end(60, 11_000)], vec![ended, price]),
        ("with its readings", active(), vec![with_readings()], vec!["readings", "readings", ended, price]),
        ("with a reading that came before", metered(), vec![with_readings()], vec!["readings", ended, price]),
        ("ended twice", active(), vec![end(60, 11_000), end(60, 11_000), end(90, 20_000)], vec![ended, price, "flagged, stopped_twice", "price 2: 5.00 EUR, estimated"]),
        ("a reading after the stop that changes nothing", active(), vec![end(60, 11_000), record(61, 11_000)], vec![ended, price, "readings", "flagged, readings_after_stop"]),
        ("the second one is not flagged again", active(), vec![end(60, 11_000), record(61, 11_000), record(62, 11_000)], vec![ended, price, "readings", "flagged, readings_after_stop", "readings"]),
        ("a reading after the stop that tells more", active(), vec![end(60, 11_000), record(61, 11_400)], vec![ended, price, "readings", "flagged, readings_after_stop", "price 2: 5.20 EUR"]),
        ("a late reading of before the stop", active(), vec![end(60, 11_000), record(30, 6_000)], vec![ended, price, "readings", "flagged, readings_after_stop"]),
        ("departed: half an hour of parking", active(), vec![end(60, 11_000), depart(90)], vec![ended, price, "departed 11:30", "price 2: 8.00 EUR"]),
        ("departed at once", active(), vec![end(60, 11_000), depart(60)], vec![ended, price, "departed 11:00"]),
        ("departed twice", active(), vec![end(60, 11_000), depart(90), depart(120)], vec![ended, price, "departed 11:30", "price 2: 8.00 EUR"]),
        ("no meter at all", begun(|beginning| beginning.meter_start_wh = None), vec![end_with(60, 0, |ended| ended.meter_stop_wh = None)], vec![ended, "price 1: 0.00 EUR, estimated"]),
        ("the end has no time: energy alone", active(), vec![end_with(60, 11_000, untimed)], vec!["ended ?", "price 1: 5.00 EUR, estimated"]),
        ("the start has no time: energy alone", no_start_time(), vec![end(60, 11_000), depart(90)], vec![ended, "price 1: 5.00 EUR, estimated", "departed 11:30"]),
        ("only the stop ever came", start_missing(), vec![end(60, 11_000)], vec![ended, "price 1: 0.00 EUR, estimated"]),
        ("it ended before it began", active(), vec![end(-60, 11_000)], vec!["ended 09:00", "price 1: 5.00 EUR, estimated"]),
        ("the meter was reset", metered(), vec![end(60, 100)], vec![ended, "price 1: 2.50 EUR, estimated"]),
        ("begun offline is no reason for doubt", offline(), vec![end(60, 11_000)], vec![ended, price]),
        ("nobody knows who pays", unpaid(), vec![end(60, 11_000)], vec![ended, "price 1: 5.00 EUR, estimated"]),
        ("silent: priced up to its last reading", metered(), vec![presume()], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated"]),
        ("silent from the start", active(), vec![presume()], vec!["ended 10:00, presumed_ended", "price 1: 0.00 EUR, estimated"]),
        ("silent twice", metered(), vec![presume(), presume()], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated"]),
        ("its stop came after all", metered(), vec![presume(), end(60, 11_000)], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated", "ended 11:00, reopened", "price 2: 5.00 EUR, estimated"]),
        ("and once more", metered(), vec![presume(), end(60, 11_000), end(60, 11_000)], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated", "ended 11:00, reopened", "price 2: 5.00 EUR, estimated", "flagged, stopped_twice"]),
        ("it was heard of again, and is no reading after a stop", metered(), vec![presume(), record(45, 8_500)], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated", "readings", "price 2: 3.75 EUR, estimated"]),
        ("it departed before its stop came: parking is kept", metered(), vec![presume(), depart(90), end(60, 11_000)], vec!["ended 10:30, presumed_ended", "price 1: 2.50 EUR, estimated", "departed 11:30", "price 2: 8.50 EUR, estimated", "ended 11:00, reopened", "price 3: 8.00 EUR, estimated"]),
        ("presumed to have ended, but it had not begun", vec![requested()], vec![presume()], vec![]),
        ("presumed to have ended after it had", active(), vec![end(60, 11_000), presume()], vec![ended, price]),
    ];
    for (case, given, when, then) in table {
        assert_eq!(story(given, when).0, then, "{case}");
    }
}

#[test]
fn without_a_tariff_there_is_no_price() {
    let mut beginning = beginning();
    beginning.session_id = id(1);
    let (told, session) = story(vec![SessionEvent::TransactionStarted(Box::new(beginning))], vec![end(60, 11_000)]);
    assert_eq!((told, session.final_price), (vec!["ended 11:00".to_owned()], None));
}

#[test]
fn the_running_cost_is_priced_by_the_same_function() {
    let running = |events| story(events, vec![]).1.price().map(|priced| (priced.total.to_string(), priced.estimated));
    let told = |text: &str, estimated| Some((text.to_owned(), estimated));
    assert_eq!(running(vec![requested()]), None);
    assert_eq!(running(vec![requested(), started(), read(30, 6_000)]), told("2.50 EUR", false));
}

#[test]
fn a_reopened_session_is_ended_by_its_stop() {
    let begun = vec![requested(), started(), read(30, 6_000)];
    let (_, presumed) = story(begun.clone(), vec![PresumeEnded { at: at(600) }]);
    assert!(presumed.is_presumed_ended());
    let (_, session) = story(begun, vec![PresumeEnded { at: at(600) }, end(60, 11_000)]);
    let stopped_at: Option<DateTime<Utc>> = Some(at(60));
    assert_eq!((session.state, session.stopped_at), (SessionState::Completed, stopped_at));
    assert_eq!(session.flags, [Flag::PRESUMED_ENDED, Flag::REOPENED]);
    assert!(!session.is_presumed_ended());
}
