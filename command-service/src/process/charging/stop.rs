//! The stop process: asked for → the charger accepts → it reports the end within the deadline. Whatever fails of that
//! gives the session back to charging, with a reason.

use application::settle::Conclusion;
use domain::event::Event;
use domain::id::CommandId;
use domain::station_command::{CommandState, StationAction, StationCommand, StationCommandEvent};
use schema::log::RecordedEvent;

use super::{Action, Settings, Task};

pub(super) fn react(event: &RecordedEvent, settings: &Settings) -> Vec<Action> {
    let command_id = CommandId(event.stream.id);
    match event.event.as_deref() {
        // The event does not say what was accepted. Where it was no stop, nothing comes of the timer.
        Ok(Event::StationCommand(StationCommandEvent::StationCommandAccepted { .. })) => {
            vec![Action::At(event.recorded_at + settings.stop_deadline, Task::FailStop { command_id })]
        }
        _ => vec![],
    }
}

/// The stop was accepted, and no end was reported in time.
pub(super) fn too_late(command: &StationCommand) -> Option<Conclusion> {
    let request = command.request.as_ref()?;
    let overdue = command.state == CommandState::Accepted && matches!(request.action, StationAction::RemoteStop { .. });
    overdue.then(|| Conclusion::CommandFailed {
        charge_point_id: request.charge_point_id,
        command_id: request.command_id,
        reason: "The charger agreed to stop, and did not say in time that it has.".to_owned(),
    })
}

/// The session of a command to stop that came to nothing.
pub(super) fn refused(command: &StationCommand) -> Option<Conclusion> {
    let request = command.request.as_ref()?;
    let (StationAction::RemoteStop { .. }, Some(session_id)) = (&request.action, request.session_id) else {
        return None;
    };
    let sentence = match command.state {
        CommandState::Rejected => "The charger refused to stop. Stop at the charger, or unplug.",
        CommandState::Failed => "The charger could not stop. Try again, stop at the charger, or unplug.",
        CommandState::TimedOut => "The charger did not answer. Try again, stop at the charger, or unplug.",
        CommandState::Expired => "The charger could not be reached in time. Try again, stop at the charger, or unplug.",
        CommandState::Requested | CommandState::Sent | CommandState::Accepted | CommandState::Done => return None,
    };
    let detail = match &command.reason {
        Some(reason) => format!("{sentence} ({reason})"),
        None => sentence.to_owned(),
    };
    Some(Conclusion::StopFailed { session_id, command_id: request.command_id, detail })
}
