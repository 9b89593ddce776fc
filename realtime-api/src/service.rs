use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use history::Past;
use pool::Pool;
use schema::view;
use service_host::{Gate, Host, Json, NotReady, ServeLimits, Shutdown, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::asyncapi::asyncapi;
use crate::config::Config;
use crate::hub::{Hub, HubHandle};
use crate::query;
use crate::socket::{self, Sockets};
use crate::state::{Api, Inner};
use crate::trace::Traces;

/// Why the service can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the read models can't be followed")]
    Views(#[from] view::Error),
}

/// The running hub and the state of the handlers. Ends with [`Service::drain`].
pub struct Service {
    api: Api,
    hub: JoinHandle<()>,
    erasures: JoinHandle<()>,
    gate: Gate,
}

impl Service {
    /// Follows the read models from now on. No socket is opened any more when `shutdown` has begun.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn start(config: Config, host: &Host, shutdown: Shutdown) -> Result<Self, Error> {
        let Config { application, pool, views, feeds, settings } = config;
        let past = Past::new(application.store().clone(), views.clone());
        let gate = host.readiness().gate("views");
        host.readiness().register("accounts", {
            let pool = pool.clone();
            move || reachable(pool.clone())
        });
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let shards = settings.shards.unwrap_or_else(cores);
        let traces = Traces::new(application.store().clone());
        let (hub, handle) = Hub::start(views.clone(), feeds.as_ref(), shards, traces).await?;
        let hub = tokio::spawn(hub.run());
        gate.ready();
        let limits = settings.limits;
        let sockets = Sockets::default();
        let erasures = tokio::spawn(Sockets::follow_erasures(handle.clone(), application.verifier().erasures()));
        let api = Api::new(Inner { application, pool, views, past, hub: handle, limits, sockets, shutdown });
        Ok(Self { api, hub, erasures, gate })
    }

    /// Queries, `/ws` and its document. Without the others, which belong to the port.
    pub fn router(&self) -> Router {
        let live = asyncapi();
        let live = Router::new().route("/ws", get(socket::open)).route("/asyncapi.json", get(async move || Json(live)));
        let sockets = self.api.sockets.clone();
        let counted = from_fn(move |request: Request, next: Next| {
            // Those that wait for a position need the hub until they are answered.
            let under_way = sockets.under_way();
            async move {
                let response = next.run(request).await;
                drop(under_way);
                response
            }
        });
        query::router().merge(live).with_state(self.api.clone()).layer(counted)
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.api.sockets.count()
    }

    /// Closes every socket, spread over the configured time, waits for the requests under way, and ends. Called when the
    /// shutdown has begun.
    pub async fn drain(self) {
        self.gate.not_ready("ending");
        let hub: &HubHandle = &self.api.hub;
        self.api.sockets.drain(hub, self.api.limits.drain_over).await;
        self.erasures.abort();
        self.hub.abort();
    }
}

/// The service alone on a port, until `shutdown` begins and its sockets are closed.
///
/// # Errors
/// [`Error`], before anything is served.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let host = Host::new();
    let service = Service::start(config, &host, shutdown.clone()).await?;
    let document = query::openapi::openapi();
    let documents = Router::new().route("/openapi.json", get(async move || Json(document))).merge(crate::docs());
    let router = host.finish(service.router().merge(documents));
    let requests = serve(router, listener, shutdown.clone(), ServeLimits::default());
    let sockets = async {
        shutdown.begun().await;
        service.drain().await;
    };
    tokio::join!(requests, sockets);
    Ok(())
}

async fn reachable(pool: Pool) -> Result<(), NotReady> {
    let asked = sqlx::query("SELECT FROM accounts LIMIT 0").execute(&pool).await;
    asked.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, "the database can't be reached");
        NotReady("the database can't be reached".to_owned())
    })
}
