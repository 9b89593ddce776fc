//! From the log to the mailboxes: station commands that were requested, and connections that ended elsewhere.

use std::sync::Arc;
use std::time::Duration;

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::id::ChargePointId;
use domain::station_command::StationCommandEvent;
use event_store::feed::{self, Log};
use schema::log::{Position, RecordedEvent};
use service_host::Shutdown;

use crate::edge::Edge;

const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How far back it begins when the log has changed: its end may have been elsewhere. What is handed on again does no harm: a
/// command is sent only if it is open and was not sent.
const REWIND_POSITIONS: i64 = 20_000;

/// Follows the log from `at` on, until the end has begun.
pub async fn run(edge: Arc<Edge>, mut at: Position, shutdown: Shutdown) {
    loop {
        let ended = tokio::select! {
            () = shutdown.begun() => return,
            ended = follow(&edge, &mut at) => ended,
        };
        match ended {
            Ended::Restored { head } => at = Position(at.min(head).0.saturating_sub(REWIND_POSITIONS).max(0)),
            Ended::Closed => return,
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

enum Ended {
    /// The log is another than it was.
    Restored {
        head: Position,
    },
    Closed,
}

async fn follow(edge: &Edge, at: &mut Position) -> Ended {
    let mut feed = edge.app.store().follow_commands(*at);
    loop {
        match feed.next().await {
            Ok(batch) => {
                batch.events.iter().for_each(|event| deliver(edge, event));
                *at = batch.upto;
            }
            Err(error @ (feed::Error::AheadOfLog { head, .. } | feed::Error::OtherGeneration { head, .. })) => {
                tracing::error!(%error, "the log was restored; following its end");
                return Ended::Restored { head };
            }
            Err(feed::Error::Closed) => return Ended::Closed,
            Err(feed::Error::Read(error)) => {
                tracing::warn!(%error, "the log can't be followed; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

fn deliver(edge: &Edge, recorded: &RecordedEvent) {
    let event = match &recorded.event {
        Ok(event) => event,
        // What this version can't understand is no command of this version.
        Err(error) => {
            tracing::warn!(position = %recorded.position, %error, "an event can't be understood and is passed over");
            return;
        }
    };
    match event.as_ref() {
        Event::StationCommand(StationCommandEvent::StationCommandRequested(request)) => {
            let Some(mailbox) = edge.mailboxes.find(request.charge_point_id) else { return };
            if !mailbox.put(request.command_id) {
                tracing::warn!(command = %request.command_id, "a charger's mailbox is full; the command will expire");
            }
        }
        Event::ChargePoint(ChargePointEvent::ChargePointConnected { epoch, .. }) => {
            edge.mailboxes.connected_elsewhere(ChargePointId(recorded.stream.id), *epoch);
        }
        Event::ChargePoint(ChargePointEvent::ChargePointDisconnected { epoch, .. }) => {
            edge.mailboxes.disconnected(ChargePointId(recorded.stream.id), *epoch);
        }
        _ => {}
    }
}
