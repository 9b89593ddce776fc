//! From the log to the mailboxes: station commands that were requested, and connections that ended elsewhere.

use std::sync::Arc;
use std::time::Duration;

use application::report::Requested;
use domain::charge_point::{ChargePoint, ChargePointEvent};
use domain::event::Event;
use domain::id::{ChargePointId, Epoch};
use domain::station_command::StationCommandEvent;
use event_store::Loaded;
use event_store::feed::{self, Log};
use futures_util::{StreamExt, stream};
use schema::log::{Generation, Position, RecordedEvent};
use service_host::Shutdown;

use crate::edge::Edge;

const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Of the connections of an edge, when the log is another: thousands, and all edges ask at once.
const CHECKED_AT_ONCE: usize = 8;

/// How far it is, and in which generation of the log.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub at: Position,
    pub generation: Generation,
}

/// Follows the log from a place on, until the end has begun.
pub async fn run(edge: Arc<Edge>, mut place: Place, shutdown: Shutdown) {
    loop {
        let ended = tokio::select! {
            () = shutdown.begun() => return,
            ended = follow(&edge, &mut place) => ended,
        };
        match ended {
            Ended::Restored => {
                tokio::select! {
                    () = shutdown.begun() => return,
                    () = go_back(&edge, &mut place) => {}
                }
                // Beside the following: commands do not wait for it.
                tokio::spawn({
                    let (edge, shutdown) = (Arc::clone(&edge), shutdown.clone());
                    async move {
                        tokio::select! {
                            () = shutdown.begun() => {}
                            () = end_lost_connections(&edge) => {}
                        }
                    }
                });
            }
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
    Restored,
    Closed,
}

/// To where the log parted from what was followed.
async fn go_back(edge: &Edge, place: &mut Place) {
    loop {
        let store = edge.app.store();
        let looked = async {
            let (head, generation) = store.head().await?;
            Ok::<_, event_store::read::Error>((head, generation, store.rewound(place.generation, place.at).await?))
        };
        match looked.await {
            Ok((head, generation, shared)) => {
                *place = Place { at: shared.min(head), generation };
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "where the log has parted can't be asked; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// A connection that the log has lost is nobody's: its number may be given out again, to a socket elsewhere. Its charger has
/// to connect anew. All are looked at, wherever this edge was in the log: a connection that it appended itself, or that Kafka
/// brought before all below it, may be lost without having been passed.
async fn end_lost_connections(edge: &Edge) {
    let connections = stream::iter(edge.mailboxes.connections());
    connections.for_each_concurrent(CHECKED_AT_ONCE, |(charger, epoch)| end_if_lost(edge, charger, epoch)).await;
}

async fn end_if_lost(edge: &Edge, charger: ChargePointId, epoch: Epoch) {
    loop {
        match edge.app.store().load::<ChargePoint>(charger).await {
            Ok(Loaded { state, .. }) => {
                let stands = state.epoch == epoch && state.edge.as_deref() == Some(edge.config.name.as_str());
                if !(stands && state.online) {
                    tracing::warn!(%charger, epoch = epoch.0, "the log has lost the charger's connection");
                    edge.mailboxes.disconnected(charger, epoch);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%charger, %error, "whether the log has a charger's connection can't be read; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn follow(edge: &Edge, Place { at, generation }: &mut Place) -> Ended {
    let mut feed = edge.app.store().follow_commands(*at);
    loop {
        match feed.next().await {
            // It became another before anything of it was delivered.
            Ok(batch) if batch.generation > *generation => return Ended::Restored,
            Ok(batch) => {
                batch.events.iter().for_each(|event| deliver(edge, event));
                (*at, *generation) = (batch.upto, batch.generation);
            }
            Err(error @ (feed::Error::AheadOfLog { .. } | feed::Error::OtherGeneration { .. })) => {
                tracing::warn!(%error, "the log is of another generation");
                return Ended::Restored;
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
            let trace_id = recorded.envelope.trace_id.clone();
            if !mailbox.put(Requested { command_id: request.command_id, trace_id }) {
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
