//! From the log to the mailboxes: station commands that were requested, and connections that ended elsewhere.

use std::sync::Arc;
use std::time::Duration;

use domain::charge_point::ChargePointEvent;
use domain::event::Event;
use domain::id::ChargePointId;
use domain::station_command::StationCommandEvent;
use event_store::PartitionSet;
use event_store::feed::{self, From, Log};
use schema::log::{Position, RecordedEvent};
use service_host::Shutdown;

use crate::edge::Edge;

const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Follows the log from `at` on, until the end has begun.
pub async fn run(edge: Arc<Edge>, mut at: Position, shutdown: Shutdown) {
    loop {
        let followed = tokio::select! {
            () = shutdown.begun() => return,
            error = follow(&edge, &mut at) => error,
        };
        match followed {
            feed::Error::AheadOfLog { head, .. } | feed::Error::OtherGeneration { head, .. } => {
                tracing::error!(error = %followed, "the log was restored; following its end");
                at = head;
            }
            feed::Error::Closed => return,
            feed::Error::Read(error) => tracing::warn!(%error, "the log can't be followed; trying again"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

async fn follow(edge: &Edge, at: &mut Position) -> feed::Error {
    let mut feed = edge.app.store().follow(PartitionSet::ALL, From::Position(*at));
    loop {
        match feed.next().await {
            Ok(batch) => {
                batch.events.iter().for_each(|event| deliver(edge, event));
                *at = batch.upto;
            }
            Err(error) => return error,
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
