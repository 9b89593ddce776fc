use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use application::Application;
use service_host::{Readiness, Shutdown, drain_step, tell_evenly};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::edge::Edge;
use crate::follow::{self, Place};
use crate::lease;
use crate::mailbox::Ending;
use crate::open::{authenticated, connect};

/// How long the accept loop rests when the process has no file descriptors left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Between the sockets of an edge that ends alone: nobody else takes its chargers, and whoever stops it waits.
const DRAIN_STEP_MAX: Duration = Duration::from_millis(5);

/// Why the edge can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be read")]
    Log(#[from] event_store::read::Error),
}

/// Serves chargers on `listener` until the shutdown begins; then takes no more of them, finishes what is under way, closes
/// the sockets spread over a while (1001), and records the disconnections, or leaves that to others
/// ([`Config::hands_over`]).
///
/// Health, readiness and metrics are served on another port, by whoever has the [`service_host::Host`].
///
/// # Errors
/// [`Error`], before anything is served.
pub async fn run(
    config: Config,
    app: Application,
    listener: TcpListener,
    readiness: &Readiness,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let gate = readiness.gate("ocpp-edge");
    // From here on: what was requested before is found by each connection itself.
    let (at, generation) = app.store().head().await?;
    let name = config.name.clone();
    let edge = Arc::new(Edge::new(config, app));
    let drained = Shutdown::new();
    let holding = tokio::spawn(lease::hold(edge.app.store().clone(), name.clone(), drained.clone()));
    let following = tokio::spawn(follow::run(Arc::clone(&edge), Place { at, generation }, drained.clone()));
    let pulse = tokio::spawn({
        let edge = Arc::clone(&edge);
        async move { edge.pulse.keep().await }
    });
    gate.ready();
    tracing::info!(edge = name, "taking chargers");

    let connections = TaskTracker::new();
    accept_all(&edge, listener, &connections, &shutdown).await;
    gate.not_ready("shutting down");
    connections.close();
    let is_clean = drain(&edge, &connections).await;
    drained.begin();
    let (lease, followed) = tokio::join!(holding, following);
    pulse.abort();
    let handed_over = edge.handed_over.load(Ordering::Relaxed);
    tracing::info!(handed_over, is_clean, "no charger is connected here any more");
    match lease {
        // Its chargers are recorded as disconnected; otherwise whoever sees it lapse does that.
        Ok(Some(lease)) if is_clean && handed_over == 0 => lease::give_back(edge.app.store(), &lease).await,
        Ok(Some(lease)) => lease::let_lapse(edge.app.store(), &lease).await,
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "holding the edge's lease ended badly"),
    }
    if let Err(error) = followed {
        tracing::error!(%error, "following the log ended badly");
    }
    Ok(())
}

async fn accept_all(edge: &Arc<Edge>, listener: TcpListener, connections: &TaskTracker, shutdown: &Shutdown) {
    let permits = Arc::new(Semaphore::new(edge.config.limits.connections_max));
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                connections.spawn(begin(Arc::clone(edge), stream, peer, permit, connections.clone(), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// Opens the socket, then serves it in a task of its own, which is smaller than that of the opening.
async fn begin(
    edge: Arc<Edge>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    connections: TaskTracker,
    shutdown: Shutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "the peer is gone already");
        return;
    }
    let authenticated = tokio::select! {
        authenticated = timeout(edge.config.limits.opening_wait_max, authenticated(&edge, stream)) => authenticated,
        () = shutdown.begun() => return,
    };
    let authenticated = match authenticated {
        Ok(Some(authenticated)) => authenticated,
        Ok(None) => return,
        Err(_) => {
            metrics::counter!("coulomb_ocpp_edge_openings_total", "outcome" => "timed_out").increment(1);
            tracing::debug!(%peer, "a connection was not opened in time");
            return;
        }
    };
    let Some(connection) = connect(&edge, authenticated).await else { return };
    if shutdown.has_begun() {
        // It may have come too late to be told.
        connection.mailbox().end(Ending::Draining);
    }
    connections.spawn(async move {
        let _permit = permit;
        connection.run().await;
    });
}

/// Tells each connection to end, one after another, and waits for them. False: some are not recorded as ended.
async fn drain(edge: &Edge, connections: &TaskTracker) -> bool {
    let limits = &edge.config.limits;
    let mailboxes = edge.mailboxes.all();
    let step = match edge.config.hands_over {
        true => drain_step(mailboxes.len(), limits.drain_spread_max),
        false => alone_step(mailboxes.len(), limits.drain_spread_max),
    };
    tracing::info!(sockets = mailboxes.len(), step_us = step.as_micros(), "closing sockets");
    tell_evenly(mailboxes, step, |mailbox| mailbox.end(Ending::Draining)).await;
    let is_clean = timeout(limits.drain_wait_max, connections.wait()).await.is_ok();
    if !is_clean {
        tracing::warn!(open = connections.len(), "connections did not end in time");
    }
    is_clean
}

/// Between two of `sockets` of an edge that nobody takes over from: it does not wait for the sake of the others.
fn alone_step(sockets: usize, spread: Duration) -> Duration {
    (spread / u32::try_from(sockets).unwrap_or(u32::MAX).max(1)).min(DRAIN_STEP_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets, seconds of the setting, and how long they are closed over in milliseconds.
    #[test]
    fn an_edge_that_is_alone_is_soon_gone_unless_it_has_many() {
        for (sockets, spread_s, over_ms) in
            [(0, 30, 0), (3, 30, 15), (50, 30, 250), (1_000, 30, 5_000), (1_000, 0, 0), (100_000, 30, 30_000)]
        {
            let over = alone_step(sockets as usize, Duration::from_secs(spread_s)) * sockets;
            assert_eq!(over.as_millis(), over_ms, "{sockets} sockets");
        }
    }
}
