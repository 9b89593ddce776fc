//! An HTTP/1.1 server that drains, with a limit on everything a client could hold open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::metrics;
use crate::shutdown::Shutdown;

/// How long the accept loop rests when the process has no file descriptors left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Limits of one listener. A connection that was upgraded to a WebSocket is no longer counted by any of them.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// From the first byte (or the end of the previous request) to the end of the headers. Also ends idle connections.
    pub header_wait_max: Duration,
    /// Bytes read ahead for one connection, and so the largest header section.
    pub buffer_bytes_max: usize,
    /// For requests under way when the end has begun; then they are cut off.
    pub drain_wait_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            header_wait_max: Duration::from_secs(75),
            buffer_bytes_max: 64 * 1024,
            drain_wait_max: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown` begins, then takes no new connection, lets the requests under way end, and returns.
///
/// The peer's address is there as [`ConnectInfo<SocketAddr>`].
pub async fn serve(router: Router, listener: TcpListener, shutdown: Shutdown, limits: ServeLimits) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    // Beyond the drain, what is still open is cut off by cancelling this one.
    let cut_off = Shutdown::new();
    let mut upkeep = tokio::time::interval(metrics::UPKEEP_EVERY);
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => break,
            _ = upkeep.tick() => {
                metrics::handle().run_upkeep();
                continue;
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let connection = Connection { stream, peer, limits, shutdown: shutdown.clone() };
                let cut_off = cut_off.clone();
                let router = router.clone();
                connections.spawn(async move {
                    let _permit = permit;
                    tokio::select! {
                        () = cut_off.begun() => {}
                        () = connection.run(router) => {}
                    }
                });
            }
            Err(error) => {
                // A peer that hung up early is its own affair; running out of descriptors passes when others hang up.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_wait_max, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "requests did not end in time and are cut off");
        cut_off.begin();
        connections.wait().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    limits: ServeLimits,
    shutdown: Shutdown,
}

impl Connection {
    async fn run(self, router: Router) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "the peer is gone already");
            return;
        }
        let peer = self.peer;
        let service = service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            async move {
                let Ok(response) = router.oneshot(request).await;
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_wait_max)
            .max_buf_size(self.limits.buffer_bytes_max)
            .serve_connection(TokioIo::new(self.stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.begun() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients hang up, time out and send nonsense; none of it is ours to repair.
            tracing::debug!(%error, %peer, "a connection ended badly");
        }
    }
}
