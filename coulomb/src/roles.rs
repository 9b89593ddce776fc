//! The roles, each started the same way whether alone or beside the others.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use application::Application;
use axum::Router;
use axum::routing::get;
use command_service::{CommandArgs, process};
use event_store::kafka::KafkaOptions;
use event_store::lineage::Successor;
use event_store::{EventStore, StoreOptions, Wake};
use pool::Pool;
use projection_service::Views;
use realtime_api::RealtimeArgs;
use schema::view::{FeedOptions, TableFeeds, ViewFeeds, ViewStore};
use service_host::config::HttpArgs;
use service_host::{Host, Json, ServeLimits, Shutdown, serve};
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;

use crate::cli::{CommandServiceArgs, OcppEdgeArgs, RealtimeApiArgs};
use crate::database::{Database, Reads};
use crate::listen::{self, bind};
use crate::migrate;
use crate::settings::Settings;
use crate::supervisor::Supervisor;

/// What the roles of one process share. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    pub pool: Pool,
    /// From a replica, where there is one.
    pub reads: Option<Reads>,
    /// One for the whole process, so that the appends of all roles share its lanes, and one tail serves all followers.
    pub store: EventStore,
    pub application: Application,
    pub host: Host,
    pub shutdown: Shutdown,
    /// No other process uses the database.
    pub alone: bool,
    pub projection_workers: u16,
    pub snapshot_every: i64,
    /// Over which time sockets are closed at the end.
    pub drain_over: Duration,
}

impl Shared {
    /// How rows that other processes write are followed.
    fn feed(&self) -> FeedOptions {
        // Workers beside each other tell each other's readers through the database.
        let listen = (!self.alone || self.projection_workers > 1).then(|| self.pool.clone());
        FeedOptions { listen, ..FeedOptions::default() }
    }
}

impl Shared {
    /// On a database that has all migrations.
    pub async fn open(database: &Database, settings: &Settings, shutdown: Shutdown) -> anyhow::Result<Self> {
        let host = Host::new();
        host.readiness().until(&shutdown);
        database.register_readiness(host.readiness());
        let pool = database.pool().clone();
        let alone = database.is_private();
        let kafka = settings.kafka.options()?;
        // Where nobody else listens, nobody is to be told: neither other processes nor a relay.
        let notify = !alone || kafka.is_some();
        let wake = if notify { Wake::Listen } else { Wake::Poll };
        let successor = kafka.as_ref().map_or(Successor::Anybody, |_| Successor::Relay);
        let archive = crate::archives::reader();
        let options = StoreOptions { notify, wake, archive, kafka, successor, ..StoreOptions::default() };
        let store = EventStore::connect(pool.clone(), options).await?;
        tokio::select! {
            () = event_store::kafka::relay::look_before_appending(&store) => {}
            // Nothing will be appended.
            () = shutdown.begun() => {}
        }
        if alone {
            store.lapse_all_leases().await?;
        }
        crate::log::register(&store, host.readiness());
        let master_key = application::vault::MasterKey::new(*database.master_key().bytes());
        let application = Application::new(store.clone(), pool.clone(), master_key, settings.application());
        application.vault().check_master_key().await.context(
            "COULOMB_MASTER_KEY (or master-key in the data directory): not the key that this database has been used with",
        )?;
        let followed = application.clone();
        let ending = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = followed.follow_erasures() => {}
                () = ending.begun() => {}
            }
        });
        Ok(Self {
            pool,
            reads: database.reads().cloned(),
            store,
            application,
            host,
            shutdown,
            alone,
            projection_workers: settings.projection_workers,
            snapshot_every: settings.snapshot_every,
            drain_over: settings.drain.over(),
        })
    }
}

/// A role with what is its own.
pub enum Role {
    OcppEdge {
        listener: TcpListener,
        config: Box<ocpp_edge::Config>,
    },
    CommandService(CommandArgs),
    ProjectionService,
    RealtimeApi(RealtimeArgs),
    /// `alone`: the process has nothing else to do.
    Relay {
        kafka: Box<KafkaOptions>,
        alone: bool,
    },
}

/// What a started role serves over HTTP, and its part of the API's document.
#[derive(Default)]
pub struct Served {
    routes: Router,
    document: Option<OpenApi>,
}

impl Served {
    pub fn of(routes: Router, document: OpenApi) -> Self {
        Self { routes, document: Some(document) }
    }

    /// With a layer around the routes.
    pub fn layered(self, layer: impl FnOnce(Router) -> Router) -> Self {
        Self { routes: layer(self.routes), ..self }
    }

    /// Two roles on one port: no two answer the same method of a path, since GETs and /ws are realtime-api's.
    pub fn merge(self, other: Self) -> Self {
        let document = match (self.document, other.document) {
            (Some(document), Some(other)) => Some(document.merge_from(other)),
            (document, other) => document.or(other),
        };
        Self { routes: self.routes.merge(other.routes), document }
    }

    /// The routes, with the document and the page that reads it beside them.
    fn router(self) -> Router {
        match self.document {
            Some(mut document) => {
                document.info.title = "Coulomb".to_owned();
                document.info.version = env!("CARGO_PKG_VERSION").to_owned();
                let document = Router::new().route("/openapi.json", get(async move || Json(document)));
                self.routes.merge(document).merge(realtime_api::docs())
            }
            None => self.routes,
        }
    }
}

impl Role {
    /// Starts the role's tasks under the supervisor. `views`: of the projections in this process, where there are any.
    pub async fn start(
        self,
        shared: &Shared,
        views: &mut Option<Views>,
        supervisor: &mut Supervisor,
    ) -> anyhow::Result<Served> {
        let shared = shared.clone();
        let feed = shared.feed();
        let Shared {
            pool,
            reads,
            store,
            application,
            host,
            shutdown,
            alone,
            projection_workers,
            snapshot_every,
            drain_over,
        } = shared;
        match self {
            Self::ProjectionService => {
                let config = projection_service::Config {
                    workers: projection_workers.into(),
                    snapshot_every: Some(snapshot_every),
                    notify: !alone,
                    feed,
                    ..projection_service::Config::default()
                };
                let (started, work) = projection_service::start(config, store, pool, host.readiness(), shutdown);
                supervisor.spawn("projection-service", work);
                *views = Some(started);
                Ok(Served::default())
            }
            Self::Relay { kafka, alone } => {
                crate::relay::start(store, *kafka, alone, host.readiness(), shutdown, supervisor);
                Ok(Served::default())
            }
            Self::OcppEdge { listener, mut config } => {
                config.limits.drain_spread_max = drain_over;
                config.hands_over = !alone;
                supervisor.spawn("ocpp-edge", async move {
                    ocpp_edge::run(*config, application, listener, host.readiness(), shutdown).await
                });
                Ok(Served::default())
            }
            Self::CommandService(args) => {
                let clock = command_service::Clock::system();
                let api = command_service::start(application.clone(), pool.clone(), args.into(), clock).await?;
                supervisor.spawn("process managers", async move {
                    process::run(application, pool, process::Options::default(), host.readiness(), shutdown).await;
                    anyhow::Ok(())
                });
                Ok(Served { routes: command_service::router(api), document: Some(command_service::openapi()) })
            }
            Self::RealtimeApi(args) => {
                let (views, feeds): (ViewStore, Arc<dyn ViewFeeds>) = match views {
                    Some(views) => (views.tables().clone(), Arc::new(views.clone())),
                    None => {
                        let tables = ViewStore::new(pool.clone());
                        (tables.clone(), Arc::new(TableFeeds::new(tables, feed)))
                    }
                };
                let mut settings: realtime_api::Settings = args.into();
                settings.limits.drain_over = drain_over;
                let views = views.with_replica(reads.as_ref().map(Reads::replica));
                let config = realtime_api::Config { application, pool, views, feeds, settings };
                let service = realtime_api::Service::start(config, &host, shutdown.clone()).await?;
                let routes = service.router();
                supervisor.spawn("realtime-api", async move {
                    shutdown.begun().await;
                    service.drain().await;
                    anyhow::Ok(())
                });
                Ok(Served { routes, document: Some(realtime_api::openapi()) })
            }
        }
    }
}

/// A role as the command line gives it.
pub enum Alone {
    OcppEdge(OcppEdgeArgs),
    CommandService(CommandServiceArgs),
    ProjectionService(HttpArgs),
    RealtimeApi(RealtimeApiArgs),
    Relay(HttpArgs),
}

impl Alone {
    fn name(&self) -> &'static str {
        match self {
            Self::OcppEdge(_) => "ocpp-edge",
            Self::CommandService(_) => "command-service",
            Self::ProjectionService(_) => "projection-service",
            Self::RealtimeApi(_) => "realtime-api",
            Self::Relay(_) => "relay",
        }
    }

    fn http(&self) -> SocketAddr {
        let (args, port) = match self {
            Self::OcppEdge(args) => (args.http, 9001),
            Self::CommandService(args) => (args.http, 8081),
            Self::ProjectionService(args) => (*args, 8083),
            Self::RealtimeApi(args) => (args.http, 8082),
            Self::Relay(args) => (*args, 8084),
        };
        args.http.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, port).into())
    }

    async fn role(self, settings: &Settings) -> anyhow::Result<Role> {
        Ok(match self {
            Self::OcppEdge(OcppEdgeArgs { ocpp, .. }) => {
                Role::OcppEdge { listener: bind(ocpp.ocpp, listen::OCPP).await?, config: Box::new(ocpp.into()) }
            }
            Self::CommandService(args) => Role::CommandService(args.commands),
            Self::ProjectionService(_) => Role::ProjectionService,
            Self::RealtimeApi(args) => Role::RealtimeApi(args.realtime),
            Self::Relay(_) => {
                let kafka = settings.kafka.options()?;
                let kafka = kafka.context("the relay brings the log to Kafka: set KAFKA_BROKERS to where that is")?;
                Role::Relay { kafka: Box::new(kafka), alone: true }
            }
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
    shutdown.on_signals(settings.drain.notice())?;
    let name = alone.name();
    let listener = bind(alone.http(), listen::HTTP).await?;
    let address = listener.local_addr()?;
    let role = alone.role(settings).await?;
    let database = Database::open(settings).await?;
    let mut supervisor = Supervisor::new(shutdown.clone(), settings.drain.wait_max());
    let ended = async {
        migrate::require(database.pool()).await?;
        let shared = Shared::open(&database, settings, shutdown).await?;
        let served = role.start(&shared, &mut None, &mut supervisor).await?;
        serve_http(&shared, served, listener, &mut supervisor);
        tracing::info!(role = name, %address, "started");
        supervisor.until_shutdown().await
    };
    let ended = ended.await;
    let drained = supervisor.drain().await;
    database.close().await?;
    ended.and(drained)
}

/// Serves what the roles of this process have to serve.
pub fn serve_http(shared: &Shared, served: Served, listener: TcpListener, supervisor: &mut Supervisor) {
    let serving = serve(shared.host.finish(served.router()), listener, shared.shutdown.clone(), ServeLimits::default());
    supervisor.spawn("http", async move {
        serving.await;
        anyhow::Ok(())
    });
}
