//! What runs during a replay: the read models and the sockets of the program, on the replay's database; nothing that acts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use application::Application;
use application::vault;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use event_store::{EventStore, StoreOptions};
use projection_service::Views;
use projection_service::rebuild::{Progress, Rebuilder};
use read_models::Folds;
use realtime_api::RealtimeArgs;
use schema::log::Position;
use schema::view::Model;
use service_host::{Code, Host, Problem, Shutdown};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Args;
use super::feed::Feeder;
use super::range::Range;
use super::scratch::{Scratch, explained};
use super::screen::Screen;
use crate::master_key::MasterKey;
use crate::roles::{Role, Served, Shared, serve_http};
use crate::settings::Settings;
use crate::supervisor::Supervisor;

/// Over which sockets are closed at the end.
const DRAIN_OVER: Duration = Duration::from_secs(1);
/// How often it is looked how far the read models are.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What does not pass by itself within that ends the replay.
const TROUBLE_MAX: Duration = Duration::from_secs(10);
/// For sockets to take the last changes, where nobody says when it ends.
const LINGER: Duration = Duration::from_secs(2);
/// Requests that change something and are served nevertheless: they change sessions of accounts, in the replay alone.
const LOGINS: [&str; 3] = ["/api/auth/login", "/api/auth/refresh", "/api/auth/logout"];

pub struct Stage<'a> {
    pub settings: &'a Settings,
    pub args: &'a Args,
    pub key: MasterKey,
    pub source: &'a PgPool,
    pub range: Range,
}

impl Stage<'_> {
    /// From the first event to the summary; a signal ends it early, and well.
    pub async fn play(self, scratch: &Scratch, listener: TcpListener, shutdown: &Shutdown) -> anyhow::Result<()> {
        let options = self.source.connect_options();
        let mut source = PgConnection::connect_with(&options).await?;
        say!("Making a database for the replay ...");
        let pool = tokio::select! {
            pool = scratch.prepare(&mut source, self.settings.database_connections) => pool?,
            () = shutdown.begun() => {
                stopped(Position::START);
                return Ok(());
            }
        };
        let mut supervisor = Supervisor::new(shutdown.clone(), self.settings.drain.wait_max());
        let mut feeder = Feeder::new(source, &scratch.options()).await?;
        let began = Instant::now();
        let played = tokio::select! {
            played = self.show(&pool, listener, &mut supervisor, &mut feeder, shutdown) => played.map(|()| true),
            () = shutdown.begun() => Ok(false),
        };
        let at = feeder.at();
        drop(feeder);
        let drained = supervisor.drain().await;
        pool.close().await;
        if played? {
            let (events, seconds) = (self.range.events(), began.elapsed().as_secs_f64());
            say!("Replayed {events} events, up to position {at}, in {seconds:.1} s. The original was only read.");
        } else {
            stopped(at);
        }
        drained
    }

    async fn show(
        &self,
        pool: &PgPool,
        listener: TcpListener,
        supervisor: &mut Supervisor,
        feeder: &mut Feeder,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let shared = self.shared(pool, shutdown).await?;
        feeder.before(self.range.after).await?;
        self.fill(&shared).await?;
        let mut views = None;
        Role::ProjectionService.start(&shared, &mut views, supervisor).await?;
        let views = views.context("the projections were not started")?;
        tokio::select! {
            reached = reached(&views, self.range.after) => reached?,
            failed = trouble(&shared) => return Err(failed),
        }

        let address = listener.local_addr()?;
        let mut served = self.login(&shared).await?;
        let realtime = RealtimeArgs {
            sockets_max: realtime_api::Limits::default().sockets_max,
            subscriptions_max: realtime_api::Limits::default().subscriptions_max,
        };
        let realtime = Role::RealtimeApi(realtime).start(&shared, &mut Some(views.clone()), supervisor).await?;
        served = served.merge(realtime).layered(|routes| routes.layer(middleware::from_fn(only_reads)));
        serve_http(&shared, served, listener, supervisor);

        let Range { after, upto } = self.range;
        say!("The replay is at position {after}, and goes to {upto} at {}. Ctrl-C ends it.", self.args.speed);
        say!("  HTTP       http://{address}");
        say!("  WebSocket  ws://{address}/ws");
        say!("  coulomb watch fleet --url http://{address} --email <an operator's> --password ...");
        tokio::select! {
            shown = self.range_shown(feeder, &views) => shown,
            ended = supervisor.until_shutdown() => ended,
            failed = trouble(&shared) => Err(failed),
        }
    }

    async fn range_shown(&self, feeder: &mut Feeder, views: &Views) -> anyhow::Result<()> {
        let upto = self.range.upto;
        let mut lines = self.args.paused.then(lines);
        if let Some(lines) = &mut lines {
            say!("Enter begins.");
            lines.recv().await;
        }
        feeder.paced(upto, self.args.speed).await?;
        reached(views, upto).await?;
        match &mut lines {
            Some(lines) => {
                say!("The replay has come to position {upto}. Enter ends it.");
                lines.recv().await;
            }
            None => tokio::time::sleep(LINGER).await,
        }
        Ok(())
    }

    /// The read models of what precedes the range: all at once, which is several times as fast as the workers are, who keep
    /// them from there on.
    async fn fill(&self, shared: &Shared) -> anyhow::Result<()> {
        let upto = self.range.after;
        let began = Instant::now();
        let making: Mutex<Option<(Model, Progress)>> = Mutex::default();
        let rebuilder = Rebuilder::new(shared.store.clone(), shared.pool.clone(), Folds::of_today());
        let begins = |model: Model, progress: &Progress| {
            *making.lock().unwrap_or_else(PoisonError::into_inner) = Some((model, progress.clone()));
        };
        let show = async {
            let mut screen = Screen::new("folding", 0, upto.0);
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let making = making.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((model, progress)) = making {
                    screen.at(progress.at().0, &format!(" for {}", model.name()), None);
                }
            }
        };
        tokio::select! {
            filled = rebuilder.fill(upto, begins) => filled.context("the replay's read models can't be made")?,
            () = show => {}
        }
        if upto > Position::START {
            say!("The {upto} events before the range were folded in {:.1} s.", began.elapsed().as_secs_f64());
        }
        Ok(())
    }

    async fn shared(&self, pool: &PgPool, shutdown: &Shutdown) -> anyhow::Result<Shared> {
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
        let key = vault::MasterKey::new(*self.key.bytes());
        let settings = application::Settings { replay: true, ..self.settings.application() };
        let application = Application::new(store.clone(), pool.clone(), key, settings);
        application.vault().check_master_key().await.context(
            "COULOMB_MASTER_KEY (or master-key in the data directory): not the key that the original has been used with",
        )?;
        Ok(Shared {
            pool: pool.into(),
            reads: None,
            store,
            application,
            host: Host::new(),
            shutdown: shutdown.clone(),
            alone: true,
            projection_workers: self.settings.projection_workers,
            snapshot_every: self.settings.snapshot_every,
            drain_over: DRAIN_OVER,
        })
    }

    /// The routes of commands, of which the replay serves the logins; without process managers.
    async fn login(&self, shared: &Shared) -> anyhow::Result<Served> {
        let settings = command_service::Settings::default();
        let clock = command_service::Clock::system();
        let api = command_service::start(shared.application.clone(), shared.pool.clone(), settings, clock).await?;
        Ok(Served::of(command_service::router(api), command_service::openapi()))
    }
}

fn stopped(at: Position) {
    say!("Stopped at position {at}. The original was only read.");
}

/// Why the replay can't go on: its database does not answer any more, or its read models stand still. Completes only then.
async fn trouble(shared: &Shared) -> anyhow::Error {
    let mut well = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let trouble = match sqlx::query("SELECT position FROM log_head").execute(&shared.pool).await {
            Err(error) => explained(error).context("the replay's database does not answer any more"),
            Ok(_) => match shared.host.readiness().not_ready().await.pop_first() {
                None => {
                    well = Instant::now();
                    continue;
                }
                Some((part, why)) => anyhow::anyhow!("{part}: {why}").context("the replay stands still"),
            },
        };
        if well.elapsed() > TROUBLE_MAX {
            return trouble;
        }
    }
}

/// Waits until the read models have everything up to a position.
async fn reached(views: &Views, upto: Position) -> anyhow::Result<()> {
    let mut screen = Screen::new("folding", 0, upto.0);
    while views.wait_until(upto, LOOK_EVERY).await.is_err() {
        screen.at(views.tables().reached().await?.position.0, "", None);
    }
    Ok(())
}

/// Refuses what would change something.
async fn only_reads(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if reads || LOGINS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    Problem::new(Code::Forbidden, "This is a replay: it shows what happened, and takes no commands.").into_response()
}

/// Each line of the standard input. Its end is one for good: whoever closes it waits for nothing.
fn lines() -> mpsc::Receiver<()> {
    let (sender, lines) = mpsc::channel(1);
    // A thread of its own, which is not waited for when the process ends.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() || sender.blocking_send(()).is_err() {
                return;
            }
        }
    });
    lines
}
