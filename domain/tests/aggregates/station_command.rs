//! requested → sent → accepted → done, or one of the other ends. Nothing is sent twice, and what comes late changes
//! nothing.

use domain::Refusal;
use domain::station_command::StationCommandCommand::{Accept, Done, Expire, Fail, Reject, Request, Send, TimeOut};
use domain::station_command::{
    CommandState, StationAction, StationCommand, StationCommandCommand, StationCommandEvent as Event, StationRequest,
};
use serde_json::json;

use crate::support::{Row, at, check, decide, id, state};

fn request() -> StationRequest {
    StationRequest {
        command_id: id(1),
        charge_point_id: id(2),
        kind: "reset".into(),
        action: StationAction::Reset { hard: true },
        session_id: None,
        requested_at: at(0),
        expires_at: at(1),
    }
}

fn requested() -> Vec<Event> {
    vec![Event::StationCommandRequested(request())]
}

fn sent() -> Vec<Event> {
    [requested(), vec![Event::StationCommandSent { answer_until: at(2) }]].concat()
}

fn accepted() -> Vec<Event> {
    [sent(), vec![accepted_event()]].concat()
}

fn accepted_event() -> Event {
    Event::StationCommandAccepted { answer: json!({"status": "Accepted"}) }
}

fn accept() -> StationCommandCommand {
    Accept { answer: json!({"status": "Accepted"}) }
}

fn reject() -> StationCommandCommand {
    Reject { answer: json!({"status": "Rejected"}), reason: "Rejected".into() }
}

fn rejected_event() -> Event {
    Event::StationCommandRejected { answer: json!({"status": "Rejected"}), reason: "Rejected".into() }
}

fn fail() -> StationCommandCommand {
    Fail { reason: "lost".into() }
}

fn failed_event() -> Event {
    Event::StationCommandFailed { reason: "lost".into() }
}

#[test]
fn a_command_moves_on() {
    let nothing = || Ok(vec![]);
    let send = |minute| Send { now: at(minute), answer_until: at(2) };
    let exists = Refusal::AlreadyExists("The command exists already.");
    #[rustfmt::skip]
    let table: Vec<Row<StationCommand>> = vec![
        ("a new one", vec![], Request(request()), Ok(requested())),
        ("asked again", requested(), Request(request()), Err(exists)),
        ("sent before it was asked", vec![], send(0), Err(Refusal::CommandUnknown)),
        ("sent", requested(), send(0), Ok(vec![Event::StationCommandSent { answer_until: at(2) }])),
        ("sent too late", requested(), send(1), Ok(vec![Event::StationCommandExpired {}])),
        ("sent twice", sent(), send(0), nothing()),
        ("sent after it was accepted", accepted(), send(0), nothing()),
        ("accepted", sent(), accept(), Ok(vec![accepted_event()])),
        ("accepted twice", accepted(), accept(), nothing()),
        ("an answer to what was not sent", requested(), accept(), nothing()),
        ("rejected", sent(), reject(), Ok(vec![rejected_event()])),
        ("rejected after it was accepted", accepted(), reject(), nothing()),
        ("done", accepted(), Done, Ok(vec![Event::StationCommandDone {}])),
        ("its effect seen before its answer", sent(), Done, Ok(vec![Event::StationCommandDone {}])),
        ("could not be sent", requested(), fail(), Ok(vec![failed_event()])),
        ("the connection was lost", sent(), fail(), Ok(vec![failed_event()])),
        ("accepted, and its effect not seen", accepted(), fail(), Ok(vec![failed_event()])),
        ("no answer", sent(), TimeOut, Ok(vec![Event::StationCommandTimedOut {}])),
        ("the timer of the answer, after the answer", accepted(), TimeOut, nothing()),
        ("the timer of the answer, never sent", requested(), TimeOut, nothing()),
        ("not yet expired", requested(), Expire { now: at(0) }, nothing()),
        ("expired", requested(), Expire { now: at(1) }, Ok(vec![Event::StationCommandExpired {}])),
        ("sent does not expire", sent(), Expire { now: at(9) }, nothing()),
    ];
    check::<StationCommand>(table);
}

#[test]
fn what_is_settled_stays_as_it_is() {
    let ends = [
        (CommandState::Done, Event::StationCommandDone {}),
        (CommandState::Rejected, rejected_event()),
        (CommandState::Failed, failed_event()),
        (CommandState::TimedOut, Event::StationCommandTimedOut {}),
        (CommandState::Expired, Event::StationCommandExpired {}),
    ];
    for (expected, end) in ends {
        let settled = [sent(), vec![end]].concat();
        let seen = state::<StationCommand>(settled.clone()).state;
        assert_eq!((seen, seen.is_settled()), (expected, true));
        let late = [
            Send { now: at(0), answer_until: at(2) },
            accept(),
            reject(),
            Done,
            fail(),
            TimeOut,
            Expire { now: at(9) },
            Request(request()),
        ];
        for command in late {
            assert_eq!(
                decide::<StationCommand>(settled.clone(), command.clone()),
                Ok(vec![]),
                "{expected:?} {command:?}"
            );
        }
    }
}
