//! A plain load balancer, as one stands before the nodes of a cluster: each request goes to the next node that is ready.
//!
//! It passes requests and WebSockets on, asks each node's `/ready` again and again, and tries another node only when one
//! refuses the connection: what was sent is never sent again, whatever becomes of it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How often nodes are asked whether they are ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_WAIT_MAX: Duration = Duration::from_millis(500);

/// A node as balancers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub port: u16,
    /// Where it answers `/ready`.
    pub admin_port: u16,
}

struct Known {
    upstream: Upstream,
    is_ready: AtomicBool,
}

/// The nodes of one role.
#[derive(Default)]
struct Group {
    nodes: Mutex<Vec<Arc<Known>>>,
    next: AtomicUsize,
}

impl Group {
    fn set(&self, upstreams: &[Upstream]) {
        let known = |upstream: &Upstream| Arc::new(Known { upstream: *upstream, is_ready: AtomicBool::new(true) });
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = upstreams.iter().map(known).collect();
    }

    fn nodes(&self) -> Vec<Arc<Known>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In the order in which they are to be tried: the next one first, and those that are not ready only at last.
    fn in_turn(&self) -> Vec<Upstream> {
        let mut nodes = self.nodes();
        if !nodes.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % nodes.len();
            nodes.rotate_left(first);
        }
        nodes.sort_by_key(|known| !known.is_ready.load(Ordering::Relaxed));
        nodes.iter().map(|known| known.upstream).collect()
    }
}

/// To whom a request goes.
type Route = fn(&Method, &str) -> usize;

struct Shared {
    groups: Vec<Group>,
    route: Route,
}

/// It ends when it is dropped, with all of its connections.
pub struct Balancer {
    port: u16,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Balancer {
    /// Before nodes of one kind.
    pub async fn start(upstreams: &[Upstream]) -> Self {
        Self::routed(|_, _| 0, &[upstreams]).await
    }

    /// Before the whole platform: GETs and `/ws` go to those who answer queries, all else to those who take commands.
    pub async fn platform(commands: &[Upstream], queries: &[Upstream]) -> Self {
        let route: Route = |method, path| usize::from(*method == Method::GET && !path.starts_with("/api/auth"));
        Self::routed(route, &[commands, queries]).await
    }

    async fn routed(route: Route, groups: &[&[Upstream]]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let groups = groups.iter().map(|upstreams| {
            let group = Group::default();
            group.set(upstreams);
            group
        });
        let shared = Arc::new(Shared { groups: groups.collect(), route });
        let tasks = vec![tokio::spawn(serve(listener, shared.clone())), tokio::spawn(look(shared.clone()))];
        Self { port, shared, tasks }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on requests go to these; connections that stand stay where they are.
    pub fn set(&self, upstreams: &[Upstream]) {
        self.shared.groups[0].set(upstreams);
    }
}

async fn look(shared: Arc<Shared>) {
    let client = reqwest::Client::builder().timeout(LOOK_WAIT_MAX).pool_max_idle_per_host(0).build();
    let client = client.expect("a client can be made");
    loop {
        let mut looks = JoinSet::new();
        for known in shared.groups.iter().flat_map(Group::nodes) {
            let client = client.clone();
            looks.spawn(async move {
                let url = format!("http://127.0.0.1:{}/ready", known.upstream.admin_port);
                let answer = client.get(url).send().await;
                known.is_ready.store(answer.is_ok_and(|answer| answer.status().is_success()), Ordering::Relaxed);
            });
        }
        looks.join_all().await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let service = service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(pass(&shared, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection.with_upgrades());
        while connections.try_join_next().is_some() {}
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

/// Passes a request on, to one node.
async fn pass(shared: &Shared, mut request: Request<Incoming>) -> Response<Body> {
    let group = &shared.groups[(shared.route)(request.method(), request.uri().path())];
    for upstream in group.in_turn() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream.port));
        let Ok(stream) = TcpStream::connect(address).await else { continue };
        let _ = stream.set_nodelay(true);
        let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else {
            return plain(StatusCode::BAD_GATEWAY, "The node hung up.");
        };
        let connection = tokio::spawn(connection.with_upgrades());
        let upgrades = request.headers().contains_key(UPGRADE);
        let from_client = upgrades.then(|| hyper::upgrade::on(&mut request));
        if !upgrades {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return match sender.send_request(request).await {
            Ok(mut response) => {
                if let Some(from_client) = from_client.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS)
                {
                    let from_node = hyper::upgrade::on(&mut response);
                    tokio::spawn(async move {
                        let (Ok(client), Ok(node)) = (from_client.await, from_node.await) else { return };
                        let (mut client, mut node) = (TokioIo::new(client), TokioIo::new(node));
                        // Whoever ends it ends it for both.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut node).await;
                    });
                } else {
                    response.headers_mut().remove(CONNECTION);
                }
                response.map(BodyExt::boxed)
            }
            Err(error) => {
                connection.abort();
                plain(StatusCode::BAD_GATEWAY, &format!("The node hung up: {error}."))
            }
        };
    }
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "No node is there.");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
