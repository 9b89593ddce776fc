//! No physical command arrived twice.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::id::ChargePointId;
use domain::station_command::{StationAction, StationCommandEvent, StationRequest};
use schema::log::RecordedEvent;
use simulator::charger::Asked;

use super::chargers::Chargers;
use crate::log::decoded;

/// A charger, and what it is asked for: by what stands in the frame.
type Request = (String, String);

/// Each command is recorded as sent once at most, and of what is physical each frame that came to a charger is the only one
/// of a command that was recorded as sent before it came. Commands that ask for the very same are told apart by their time: a
/// charger is sent the next once the one before has its outcome.
///
/// # Panics
/// When something came twice, or before it was recorded.
pub fn nothing_was_asked_twice(events: &[RecordedEvent], asked: &[Asked]) {
    let sent = sent(events);
    let mut received: HashMap<Request, Vec<DateTime<Utc>>> = HashMap::new();
    for asked in asked {
        received.entry((asked.charger_id.clone(), in_frame(asked))).or_default().push(asked.at);
    }
    for (request, frames) in received {
        let sent = sent.get(&request).map_or(&[][..], Vec::as_slice);
        let is_start = request.1.starts_with("RemoteStartTransaction");
        assert!(!is_start || frames.len() == 1, "{request:?} has a tag of its own, and came at {frames:?}");
        let mut frame_of = HashMap::new();
        for frame in frames {
            // The newest that was sent before it.
            let command = sent.iter().rposition(|sent| *sent <= frame);
            let command =
                command.unwrap_or_else(|| panic!("{request:?} came at {frame} and is recorded as sent at {sent:?}"));
            let other = frame_of.insert(command, frame);
            assert_eq!(other, None, "{request:?} came at {frame}, too; it is recorded as sent at {sent:?}");
        }
    }
}

/// When each physical request was recorded as sent, in this order.
fn sent(events: &[RecordedEvent]) -> HashMap<Request, Vec<DateTime<Utc>>> {
    let chargers = Chargers::of(events);
    let mut requests: HashMap<_, &StationRequest> = HashMap::new();
    let mut sent_at = HashMap::new();
    let mut sent: HashMap<Request, Vec<DateTime<Utc>>> = HashMap::new();
    for recorded in events {
        let stream = recorded.stream.id;
        match decoded(recorded) {
            Event::StationCommand(StationCommandEvent::StationCommandRequested(request)) => {
                requests.insert(stream, request);
            }
            Event::StationCommand(StationCommandEvent::StationCommandSent { .. }) => {
                let before = sent_at.insert(stream, recorded.position);
                assert_eq!(before, None, "the command {stream} is recorded as sent at {}, too", recorded.position);
                let request = requests[&stream];
                let id = request.charge_point_id;
                if let Some(what) = in_frame_of(&request.action, &chargers, id) {
                    sent.entry((chargers.identity(id).to_owned(), what)).or_default().push(recorded.recorded_at);
                }
            }
            _ => {}
        }
    }
    sent
}

/// What a frame with this action has; none of what is not physical.
fn in_frame_of(action: &StationAction, chargers: &Chargers, id: ChargePointId) -> Option<String> {
    let number = |outlet| chargers.number(id, outlet);
    Some(match action {
        StationAction::RemoteStart { tag, .. } => format!("RemoteStartTransaction {tag}"),
        StationAction::RemoteStop { transaction_id } => format!("RemoteStopTransaction {transaction_id}"),
        StationAction::Reset { hard } => format!("Reset {}", if *hard { "Hard" } else { "Soft" }),
        StationAction::UnlockConnector { outlet } => format!("UnlockConnector {}", number(Some(*outlet))),
        StationAction::ChangeAvailability { outlet, operative } => {
            let kind = if *operative { "Operative" } else { "Inoperative" };
            format!("ChangeAvailability {} {kind}", number(*outlet))
        }
        StationAction::GetConfiguration { .. }
        | StationAction::ChangeConfiguration { .. }
        | StationAction::TriggerMessage { .. }
        | StationAction::ClearCache {} => return None,
    })
}

fn in_frame(Asked { action, payload, .. }: &Asked) -> String {
    let text = |name: &str| payload[name].as_str().unwrap_or_default();
    match action.as_str() {
        "RemoteStartTransaction" => format!("{action} {}", text("idTag")),
        "RemoteStopTransaction" => format!("{action} {}", payload["transactionId"]),
        "Reset" => format!("{action} {}", text("type")),
        "UnlockConnector" => format!("{action} {}", payload["connectorId"]),
        "ChangeAvailability" => format!("{action} {} {}", payload["connectorId"], text("type")),
        other => panic!("{other} is not known to be physical"),
    }
}

#[cfg(test)]
mod tests;
