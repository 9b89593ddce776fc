//! The start process: requested → the charger is asked → it accepts → a transaction begins within the deadline. Whatever
//! fails of that fails the session, with a reason; a transaction that comes later is taken all the same.

use application::settle::Conclusion;
use domain::event::Event;
use domain::id::SessionId;
use domain::session::{ChargingSession, SessionEvent};
use domain::station_command::{CommandState, StationAction, StationCommand};
use schema::log::RecordedEvent;

use super::task::Timer;
use super::{Action, Settings, Task};

pub(super) fn react(event: &RecordedEvent, _: &Settings) -> Vec<Action> {
    let Ok(Event::ChargingSession(content)) = event.event.as_deref() else { return vec![] };
    let session_id = SessionId(event.stream.id);
    let in_time = || Action::Cancel(Timer::Start(session_id).to_string());
    match content {
        SessionEvent::SessionRequested(request) => {
            vec![Action::At(request.deadline_at, Task::FailStart { session_id })]
        }
        SessionEvent::TransactionStarted(_) => vec![in_time()],
        SessionEvent::SessionFailed { detail, .. } => {
            vec![in_time(), Action::Now(Task::SettleStart { session_id, reason: detail.clone() })]
        }
        _ => vec![],
    }
}

/// The deadline has passed.
pub(super) fn too_late(session_id: SessionId) -> Conclusion {
    let detail = "Charging did not begin in time. Plug the cable in, and start again.".to_owned();
    Conclusion::StartFailed { session_id, code: "start-timed-out", detail }
}

/// The command of a session that failed: whoever asked is told the reason, and an unsent one is not sent any more.
pub(super) fn settled(session: &ChargingSession, reason: &str) -> Option<Conclusion> {
    let (charge_point_id, command_id) = (session.charge_point_id?, session.command_id?);
    let reason = reason.to_owned();
    Some(Conclusion::CommandFailed { charge_point_id, command_id, reason })
}

/// The session of a command to start that came to nothing.
pub(super) fn refused(command: &StationCommand) -> Option<Conclusion> {
    let request = command.request.as_ref()?;
    let (StationAction::RemoteStart { .. }, Some(session_id)) = (&request.action, request.session_id) else {
        return None;
    };
    let said = |sentence: &str| match &command.reason {
        Some(reason) => format!("{sentence} ({reason})"),
        None => sentence.to_owned(),
    };
    let (code, detail) = match command.state {
        CommandState::Rejected => {
            ("charger-rejected", said("The charger refused to start. Try again, or choose another connector."))
        }
        CommandState::Failed => {
            ("charger-failed", said("The charger could not start. Try again, or choose another one."))
        }
        CommandState::TimedOut => {
            ("charger-did-not-answer", said("The charger did not answer. Try again, or choose another one."))
        }
        CommandState::Expired => {
            ("charger-not-reached", said("The charger could not be reached in time. Try again, or choose another one."))
        }
        CommandState::Requested | CommandState::Sent | CommandState::Accepted | CommandState::Done => return None,
    };
    Some(Conclusion::StartFailed { session_id, code, detail })
}
