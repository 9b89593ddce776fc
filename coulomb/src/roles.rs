//! The four roles, each started the same way whether alone or beside the others.

use std::net::{Ipv4Addr, SocketAddr};

use application::Application;
use axum::Router;
use command_service::CommandArgs;
use event_store::{EventStore, StoreOptions};
use service_host::config::HttpArgs;
use service_host::{Host, ServeLimits, Shutdown, serve};
use sqlx::postgres::PgPool;
use tokio::net::TcpListener;

use crate::cli::{CommandServiceArgs, OcppEdgeArgs};
use crate::database::Database;
use crate::listen::{self, bind};
use crate::migrate;
use crate::settings::{Settings, UnknownChargers};
use crate::supervisor::Supervisor;

/// What the roles of one process share. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    pub pool: PgPool,
    /// One for the whole process, so that the appends of all roles share its lanes, and one tail serves all followers.
    pub store: EventStore,
    pub application: Application,
    pub host: Host,
    pub shutdown: Shutdown,
}

impl Shared {
    /// On a database that has all migrations.
    pub async fn open(database: &Database, shutdown: Shutdown) -> anyhow::Result<Self> {
        let host = Host::new();
        database.register_readiness(host.readiness());
        let pool = database.pool().clone();
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
        let master_key = application::vault::MasterKey::new(*database.master_key().bytes());
        let application =
            Application::new(store.clone(), pool.clone(), master_key, application::Settings::default());
        Ok(Self { pool, store, application, host, shutdown })
    }
}

/// A role with what is its own.
pub enum Role {
    OcppEdge { listener: TcpListener, unknown_chargers: UnknownChargers },
    CommandService(CommandArgs),
    ProjectionService,
    RealtimeApi,
}

impl Role {
    /// Starts the role's tasks under the supervisor; its routes are returned, to be served alone or merged.
    pub async fn start(self, shared: &Shared, supervisor: &mut Supervisor) -> anyhow::Result<Router> {
        let Shared { pool, application, .. } = shared.clone();
        match self {
            Self::OcppEdge { .. } | Self::ProjectionService | Self::RealtimeApi => {
                let _ = supervisor;
                Ok(Router::new())
            }
            Self::CommandService(args) => {
                let clock = command_service::Clock::system();
                let api = command_service::start(application, pool, args.into(), clock).await?;
                Ok(command_service::router(api))
            }
        }
    }
}

/// A role as the command line gives it.
pub enum Alone {
    OcppEdge(OcppEdgeArgs),
    CommandService(CommandServiceArgs),
    ProjectionService(HttpArgs),
    RealtimeApi(HttpArgs),
}

impl Alone {
    fn name(&self) -> &'static str {
        match self {
            Self::OcppEdge(_) => "ocpp-edge",
            Self::CommandService(_) => "command-service",
            Self::ProjectionService(_) => "projection-service",
            Self::RealtimeApi(_) => "realtime-api",
        }
    }

    fn http(&self) -> SocketAddr {
        let (args, port) = match self {
            Self::OcppEdge(args) => (args.http, 9001),
            Self::CommandService(args) => (args.http, 8081),
            Self::ProjectionService(args) => (*args, 8083),
            Self::RealtimeApi(args) => (*args, 8082),
        };
        args.http.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, port).into())
    }

    async fn role(self) -> anyhow::Result<Role> {
        Ok(match self {
            Self::OcppEdge(OcppEdgeArgs { ocpp, .. }) => Role::OcppEdge {
                listener: bind(ocpp.ocpp, listen::OCPP).await?,
                unknown_chargers: ocpp.unknown_chargers,
            },
            Self::CommandService(args) => Role::CommandService(args.commands),
            Self::ProjectionService(_) => Role::ProjectionService,
            Self::RealtimeApi(_) => Role::RealtimeApi,
        })
    }
}

/// Runs one role in this process, on a database that others share.
pub async fn run_alone(settings: &Settings, alone: Alone) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.database_url.is_some(),
        "{} runs beside other processes and needs their DATABASE_URL; `coulomb up` runs everything without one",
        alone.name()
    );
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let name = alone.name();
    let listener = bind(alone.http(), listen::HTTP).await?;
    let address = listener.local_addr()?;
    let role = alone.role().await?;
    let database = Database::open(settings).await?;
    let mut supervisor = Supervisor::new(shutdown.clone());
    let ended = async {
        migrate::require(database.pool()).await?;
        let shared = Shared::open(&database, shutdown).await?;
        let routes = role.start(&shared, &mut supervisor).await?;
        serve_http(&shared, routes, listener, &mut supervisor);
        tracing::info!(role = name, %address, "started");
        supervisor.until_shutdown().await
    };
    let ended = ended.await;
    let drained = supervisor.drain().await;
    database.close().await?;
    ended.and(drained)
}

/// Serves the merged routes of this process.
pub fn serve_http(shared: &Shared, routes: Router, listener: TcpListener, supervisor: &mut Supervisor) {
    let serving = serve(shared.host.finish(routes), listener, shared.shutdown.clone(), ServeLimits::default());
    supervisor.spawn("http", async move {
        serving.await;
        anyhow::Ok(())
    });
}
