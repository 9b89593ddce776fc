//! The deadlines of a command to a charger. The edge that holds the charger keeps them too, and earlier; here they hold
//! when there is no such edge.

use application::settle::Conclusion;
use domain::event::Event;
use domain::id::CommandId;
use domain::station_command::{CommandState, StationCommand, StationCommandEvent};
use schema::log::RecordedEvent;

use super::task::Timer;
use super::{Action, Settings, Task};

pub(super) fn react(event: &RecordedEvent, settings: &Settings) -> Vec<Action> {
    let Ok(Event::StationCommand(content)) = event.event.as_deref() else { return vec![] };
    let command_id = CommandId(event.stream.id);
    let settled = || Action::Cancel(Timer::Command(command_id).to_string());
    match content {
        StationCommandEvent::StationCommandRequested(request) => {
            vec![Action::At(request.expires_at + settings.expiry_grace, Task::ExpireCommand { command_id })]
        }
        StationCommandEvent::StationCommandSent { answer_until } => {
            vec![Action::At(*answer_until + settings.answer_grace, Task::TimeOutCommand { command_id })]
        }
        // The stop process has the deadline of what was accepted.
        StationCommandEvent::StationCommandAccepted { .. } => vec![],
        StationCommandEvent::StationCommandDone {} => vec![settled()],
        StationCommandEvent::StationCommandRejected { .. }
        | StationCommandEvent::StationCommandFailed { .. }
        | StationCommandEvent::StationCommandTimedOut {}
        | StationCommandEvent::StationCommandExpired {} => {
            vec![settled(), Action::Now(Task::TellSession { command_id })]
        }
    }
}

/// It was to be sent by now.
pub(super) fn expired(command: &StationCommand) -> Option<Conclusion> {
    let request = command.request.as_ref().filter(|_| command.state == CommandState::Requested)?;
    let (charge_point_id, command_id) = (request.charge_point_id, request.command_id);
    Some(Conclusion::CommandExpired { charge_point_id, command_id })
}

/// It was to be answered by now.
pub(super) fn unanswered(command: &StationCommand) -> Option<Conclusion> {
    let request = command.request.as_ref().filter(|_| command.state == CommandState::Sent)?;
    let (charge_point_id, command_id) = (request.charge_point_id, request.command_id);
    Some(Conclusion::CommandTimedOut { charge_point_id, command_id })
}
