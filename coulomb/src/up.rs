//! Every role in one process, on a private Postgres or a given one.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::bail;
use service_host::Shutdown;

use crate::cli::UpArgs;
use crate::database::Database;
use crate::listen::{self, bind};
use crate::migrate;
use crate::roles::{Role, Served, Shared, serve_http};
use crate::settings::Settings;
use crate::supervisor::Supervisor;

/// A start that takes longer is told of as it is.
const READY_WAIT_MAX: Duration = Duration::from_secs(10);
const READY_LOOK_EVERY: Duration = Duration::from_millis(20);
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The command `coulomb up`.
pub async fn run(settings: &Settings, args: &UpArgs) -> anyhow::Result<()> {
    let running = Running::start(settings, args).await?;
    match running.until_ready().await {
        waiting_for if waiting_for.is_empty() => say!("Coulomb is up. Ctrl-C stops it."),
        waiting_for => say!("Coulomb is up, but not ready yet ({waiting_for}); /ready tells when. Ctrl-C stops it."),
    }
    say!("  HTTP and WebSocket  {}", running.http_url());
    say!("  chargers connect to {}/<charger id>", running.ocpp_url());
    running.until_ended().await
}

/// All roles, started.
pub struct Running {
    database: Database,
    supervisor: Supervisor,
    http: SocketAddr,
    ocpp: SocketAddr,
    shared: Shared,
}

impl Running {
    /// Starts everything, or nothing: a failure or a signal on the way stops what was started.
    pub async fn start(settings: &Settings, args: &UpArgs) -> anyhow::Result<Self> {
        let shutdown = Shutdown::new();
        // Nobody is beside a process with a private database to take what it takes no more.
        let notice = settings.database_url.as_ref().map_or(Duration::ZERO, |_| settings.drain.notice());
        shutdown.on_signals(notice)?;
        settings.kafka.options()?;
        // The ports first: a taken one should not cost the start of a database to find out.
        let http = bind(args.http.http.unwrap_or(HTTP_DEFAULT), listen::HTTP).await?;
        let ocpp = bind(args.ocpp.ocpp, listen::OCPP).await?;
        let (http_address, ocpp_address) = (http.local_addr()?, ocpp.local_addr()?);

        if settings.database_url.is_none() {
            say!("Starting a private Postgres in {} ...", settings.data_dir.display());
        }
        // Cancelling is safe: the guardian stops a server whose start was given up.
        let database = tokio::select! {
            opened = Database::open(settings) => opened?,
            () = shutdown.begun() => bail!("stopped while starting"),
        };
        let mut supervisor = Supervisor::new(shutdown.clone(), settings.drain.wait_max());
        let started = async {
            migrate::apply(database.pool()).await?;
            let shared = Shared::open(&database, settings, shutdown).await?;
            let roles = [
                Role::ProjectionService,
                Role::OcppEdge { listener: ocpp, config: Box::new(args.ocpp.clone().into()) },
                Role::CommandService(args.commands.clone()),
                Role::RealtimeApi(args.realtime.clone()),
            ];
            let relay =
                shared.store.options().kafka.clone().map(|kafka| Role::Relay { kafka: Box::new(kafka), alone: false });
            let (mut views, mut served) = (None, Served::default());
            for role in roles.into_iter().chain(relay) {
                served = served.merge(role.start(&shared, &mut views, &mut supervisor).await?);
            }
            serve_http(&shared, served, http, &mut supervisor);
            anyhow::Ok(shared)
        };
        match started.await {
            Ok(shared) => Ok(Self { database, supervisor, http: http_address, ocpp: ocpp_address, shared }),
            Err(error) => {
                supervisor.drain().await?;
                database.close().await?;
                Err(error)
            }
        }
    }

    /// Waits until every part can work, for as long as that usually takes. Answers what is not ready even then.
    pub async fn until_ready(&self) -> String {
        let waited = Instant::now();
        loop {
            let not_ready = self.shared.host.readiness().not_ready().await;
            let enough = waited.elapsed() > READY_WAIT_MAX;
            if not_ready.is_empty() || enough {
                let reasons = not_ready.iter().map(|(part, reason)| format!("{part}: {reason}"));
                return reasons.collect::<Vec<_>>().join("; ");
            }
            tokio::select! {
                () = tokio::time::sleep(READY_LOOK_EVERY) => {}
                () = self.shared.shutdown.begun() => return "stopping".to_owned(),
            }
        }
    }

    pub fn http_url(&self) -> String {
        format!("http://{}", reachable(self.http))
    }

    pub fn ocpp_url(&self) -> String {
        format!("ws://{}", reachable(self.ocpp))
    }

    /// What the roles share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Runs until a signal or a failure, drains, and stops what was started.
    pub async fn until_ended(mut self) -> anyhow::Result<()> {
        let (ended, lost) = tokio::select! {
            ended = self.supervisor.until_shutdown() => (ended, false),
            lost = self.database.lost() => (Err(lost), true),
        };
        say!("Stopping ...");
        self.stop(ended, lost).await
    }

    /// Drains, and stops what was started.
    pub async fn stop(self, ended: anyhow::Result<()>, lost: bool) -> anyhow::Result<()> {
        let drained = self.supervisor.drain().await;
        let closed = self.database.close().await;
        // What is lost with the database says no more than that it is lost.
        if lost { ended } else { ended.and(drained).and(closed) }
    }
}

/// Where a client on this machine reaches a listener.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())) } else { address }
}
