use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::TimeDelta;
use domain::id::TransactionId;
use serde_json::{Value, json};

use super::*;
use crate::checks::made_up::{CHARGER, MadeUp, outlet};

fn frame(action: &str, payload: Value, at: DateTime<Utc>) -> Asked {
    let at = at + TimeDelta::milliseconds(10);
    Asked { charger_id: CHARGER.to_owned(), action: action.to_owned(), payload, at }
}

fn stop() -> StationAction {
    StationAction::RemoteStop { transaction_id: TransactionId("41".to_owned()) }
}

fn stops(at: DateTime<Utc>) -> Asked {
    frame("RemoteStopTransaction", json!({"transactionId": 41}), at)
}

/// The first came to nothing, and its driver asked again.
#[test]
fn the_same_may_be_asked_for_by_two_commands() {
    let mut log = MadeUp::new();
    let first = log.requests(stop());
    let first = log.sends(first);
    let second = log.requests(stop());
    let second = log.sends(second);
    nothing_was_asked_twice(&log.events, &[stops(first), stops(second)]);
    nothing_was_asked_twice(&log.events, &[stops(second)]);
}

/// As often as it was sent, and yet one of the commands came twice.
#[test]
#[should_panic(expected = "too; it is recorded as sent at")]
fn a_command_that_came_twice_is_found_though_another_did_not_come() {
    let mut log = MadeUp::new();
    let first = log.requests(stop());
    log.sends(first);
    let second = log.requests(stop());
    let second = log.sends(second);
    nothing_was_asked_twice(&log.events, &[stops(second), stops(second)]);
}

#[test]
#[should_panic(expected = "is recorded as sent at")]
fn a_command_that_is_recorded_as_sent_twice_is_found() {
    let mut log = MadeUp::new();
    let command = log.requests(stop());
    log.sends(command);
    log.sends(command);
    nothing_was_asked_twice(&log.events, &[]);
}

#[test]
#[should_panic(expected = "is recorded as sent at []")]
fn a_frame_of_no_command_is_found() {
    let log = MadeUp::new();
    nothing_was_asked_twice(&log.events, &[stops(log.next())]);
}

#[test]
#[should_panic(expected = "has a tag of its own")]
fn a_start_that_came_twice_is_found_though_two_commands_asked_for_it() {
    let mut log = MadeUp::new();
    let start = |log: &mut MadeUp| {
        let tag = "abcd".to_owned();
        let command =
            log.requests(StationAction::RemoteStart { outlet: outlet(1), tag, remote_start_id: 1, group: None });
        let at = log.sends(command);
        frame("RemoteStartTransaction", json!({"connectorId": 1, "idTag": "abcd"}), at)
    };
    let frames = [start(&mut log), start(&mut log)];
    nothing_was_asked_twice(&log.events, &frames);
}

/// Each kind by what stands in its frame: that something else was sent is no excuse.
#[test]
fn another_command_excuses_nothing() {
    let kinds = [
        (StationAction::Reset { hard: false }, "Reset", json!({"type": "Soft"}), json!({"type": "Hard"})),
        (
            StationAction::UnlockConnector { outlet: outlet(1) },
            "UnlockConnector",
            json!({"connectorId": 1}),
            json!({"connectorId": 2}),
        ),
        (
            StationAction::ChangeAvailability { outlet: None, operative: true },
            "ChangeAvailability",
            json!({"connectorId": 0, "type": "Operative"}),
            json!({"connectorId": 0, "type": "Inoperative"}),
        ),
    ];
    for (action, name, right, wrong) in kinds {
        let mut log = MadeUp::new();
        let command = log.requests(action);
        let at = log.sends(command);
        nothing_was_asked_twice(&log.events, &[frame(name, right, at)]);
        let asked = [frame(name, wrong, at)];
        let checked = catch_unwind(AssertUnwindSafe(|| nothing_was_asked_twice(&log.events, &asked)));
        assert!(checked.is_err(), "{asked:?}");
    }
}
