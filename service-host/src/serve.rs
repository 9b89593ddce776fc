//! An HTTP/1.1 server that drains, with a limit on everything a client could hold open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, StatusCode};
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
/// When the end begins, connections that the kernel has taken for us are taken until none came for so long: closing the
/// listener would reset them, with requests that nobody has read.
const LAST_ACCEPT_WAIT: Duration = Duration::from_millis(20);
/// For how many of them at most.
const LAST_ACCEPTS_MAX: usize = 4096;
/// When the end begins, a connection on which no request has come yet may bring one within this.
const FIRST_REQUEST_WAIT: Duration = Duration::from_millis(500);

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

/// Serves until `shutdown` begins, then takes no new connection, lets the requests under way end, and returns. From the
/// announcement on each answer says that its connection closes, so that few are left to be closed at the end.
///
/// The peer's address is there as [`ConnectInfo<SocketAddr>`].
pub async fn serve(router: Router, listener: TcpListener, shutdown: Shutdown, limits: ServeLimits) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    // Beyond the drain, what is still open is cut off by cancelling this one.
    let cut_off = Shutdown::new();
    let mut upkeep = tokio::time::interval(metrics::UPKEEP_EVERY);
    let spawn = |(stream, peer, permit): Accepted| {
        let connection = Connection { stream, peer, limits, shutdown: shutdown.clone() };
        let (cut_off, router) = (cut_off.clone(), router.clone());
        connections.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = cut_off.begun() => {}
                () = connection.run(router) => {}
            }
        });
    };
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
            Ok(accepted) => spawn(accepted),
            Err(error) => {
                // A peer that hung up early is its own affair; running out of descriptors passes when others hang up.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    for _ in 0..LAST_ACCEPTS_MAX {
        match tokio::time::timeout(LAST_ACCEPT_WAIT, accept(&listener, &permits)).await {
            Ok(Ok(accepted)) => spawn(accepted),
            Ok(Err(_)) | Err(_) => break,
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

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> std::io::Result<Accepted> {
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
        let asked = Arc::new(AtomicBool::new(false));
        let service = service_fn({
            let (asked, shutdown) = (asked.clone(), self.shutdown.clone());
            move |request: Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                let (router, shutdown) = (router.clone(), shutdown.clone());
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                async move {
                    let Ok(mut response) = router.oneshot(request).await;
                    if shutdown.is_announced() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, Infallible>(response)
                }
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
                // hyper closes one at once on which nothing has come.
                let ended = match asked.load(Ordering::Relaxed) {
                    true => None,
                    false => tokio::time::timeout(FIRST_REQUEST_WAIT, connection.as_mut()).await.ok(),
                };
                match ended {
                    Some(ended) => ended,
                    None => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }
        };
        if let Err(error) = ended {
            // Clients hang up, time out and send nonsense; none of it is ours to repair.
            tracing::debug!(%error, %peer, "a connection ended badly");
        }
    }
}
