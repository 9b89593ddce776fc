//! A session of which nothing is heard any more is presumed to have ended. Its timer is set once and looks, when it is
//! due, at when the session was last heard of: reports of readings, of which there are many, cost nothing here.

use application::settle::Conclusion;
use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::id::SessionId;
use domain::session::{ChargingSession, SessionEvent};
use schema::log::RecordedEvent;

use super::task::Timer;
use super::{Action, Settings, Task};

pub(super) fn react(event: &RecordedEvent, settings: &Settings) -> Vec<Action> {
    let session_id = SessionId(event.stream.id);
    match event.event.as_deref() {
        Ok(Event::ChargingSession(SessionEvent::TransactionStarted(started))) => {
            vec![Action::At(started.received_at + settings.silence_limit, Task::EndSilent { session_id })]
        }
        Ok(Event::ChargingSession(SessionEvent::TransactionEnded(_))) => {
            vec![Action::Cancel(Timer::Silence(session_id).to_string())]
        }
        _ => vec![],
    }
}

/// Until when an open session may be silent.
pub(super) fn listen_until(session: &ChargingSession, limit: TimeDelta) -> Option<DateTime<Utc>> {
    session.heard_at.filter(|_| session.is_open()).map(|heard_at| heard_at + limit)
}

pub(super) fn ended(session: &ChargingSession) -> Option<Conclusion> {
    let (session_id, unheard_since) = (session.session_id?, session.heard_at?);
    session.is_open().then_some(Conclusion::SessionSilent { session_id, unheard_since })
}
