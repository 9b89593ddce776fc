//! Nothing is held by what is over: no place in a charger's queue, and no EVSE.

use std::collections::HashMap;
use std::hash::Hash;

use domain::Decide;
use domain::charge_point::ChargePoint;
use domain::event::Event;
use domain::id::{ChargePointId, CommandId, SessionId};
use domain::session::ChargingSession;
use domain::station_command::StationCommand;
use schema::log::RecordedEvent;

use crate::log::decoded;

/// A charger's queue has its commands that are not settled, and no others: 64 that stayed, and it could be asked for nothing
/// more. What claims its EVSEs are sessions that are not over.
///
/// # Panics
/// When a command is in a queue that is settled, or is not in the queue and is not settled, or a claim is that of a session which
/// is over.
pub fn nothing_is_held_by_what_is_over(events: &[RecordedEvent]) {
    let mut chargers: HashMap<ChargePointId, ChargePoint> = HashMap::new();
    let mut commands: HashMap<CommandId, StationCommand> = HashMap::new();
    let mut sessions: HashMap<SessionId, ChargingSession> = HashMap::new();
    for recorded in events {
        let id = recorded.stream.id;
        match decoded(recorded) {
            Event::ChargePoint(event) => apply(&mut chargers, ChargePointId(id), event),
            Event::StationCommand(event) => apply(&mut commands, CommandId(id), event),
            Event::ChargingSession(event) => apply(&mut sessions, SessionId(id), event),
            _ => {}
        }
    }
    for (command_id, command) in &commands {
        let charge_point_id = command.request.as_ref().expect("it was requested").charge_point_id;
        let is_queued = chargers[&charge_point_id].open_commands.contains(command_id);
        let (state, is_settled) = (command.state.as_str(), command.state.is_settled());
        assert!(is_queued || is_settled, "the command {command_id} of {charge_point_id} is {state}, and in no queue");
        assert!(
            !is_queued || !is_settled,
            "the command {command_id} of {charge_point_id} is {state}, and still queued"
        );
    }
    for (id, charger) in &chargers {
        for (evse, claim) in &charger.claims {
            let session = sessions.get(&claim.session_id);
            let is_over = session.is_none_or(|session| !session.is_open());
            assert!(!is_over, "EVSE {evse:?} of {id} is held by {}, which is over", claim.session_id);
        }
    }
}

fn apply<K: Eq + Hash, A: Decide>(states: &mut HashMap<K, A>, id: K, event: &A::Event) {
    states.entry(id).or_default().apply(event.clone());
}

#[cfg(test)]
mod tests;
