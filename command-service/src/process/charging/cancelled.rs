//! A start that was cancelled, and began all the same: it is stopped at once, and again while its charger is away.

use application::Error;
use application::settle::Conclusion;
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::id::{CommandId, SessionId};
use domain::refusal::Refusal;
use domain::session::SessionEvent;
use domain::word::Flag;
use schema::log::RecordedEvent;
use uuid::Uuid;

use super::task::Timer;
use super::{Action, Settings, Task};
use crate::process::manager::Outcome;

pub(super) fn react(event: &RecordedEvent, _: &Settings) -> Vec<Action> {
    let session_id = SessionId(event.stream.id);
    match event.event.as_deref() {
        Ok(Event::ChargingSession(SessionEvent::TransactionStarted(started)))
            if started.flags.contains(&Flag::CANCELLED) =>
        {
            vec![Action::Now(Task::StopCancelled { session_id })]
        }
        Ok(Event::ChargingSession(SessionEvent::TransactionEnded(_))) => {
            vec![Action::Cancel(Timer::Cancelled(session_id).to_string())]
        }
        _ => vec![],
    }
}

/// A command of its own, and the same one for the same cause.
pub(super) fn stop(session_id: SessionId, cause: Uuid) -> Conclusion {
    Conclusion::StopCancelled { session_id, command_id: CommandId(Uuid::new_v5(&cause, b"stop")) }
}

/// Nobody wants this session: it is not left running because its charger is offline.
pub(super) fn outcome(stopped: Result<bool, Error>, again_at: DateTime<Utc>) -> Result<Outcome, Error> {
    match stopped {
        Ok(_) => Ok(Outcome::Settled),
        Err(Error::Refused(Refusal::ChargerOffline)) => Ok(Outcome::Again(again_at)),
        Err(error) => Err(error),
    }
}
