//! `coulomb bench ocpp`: how many messages of chargers an edge answers, beside what a bare tokio-tungstenite echo server does
//! under the same load.
//!
//! Chargers are sockets on loopback in this process, each of which sends its next message when the one before was answered, as
//! chargers do. So the generator takes its part of the cores on both sides. Meter values are answered once they are committed,
//! on a Postgres that syncs. Each case and its baseline run in turns, and the medians are compared.

mod echo;
mod load;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use application::vault::MasterKey;
use application::{Application, Settings as Policies};
use event_store::{EventStore, StoreOptions};
use service_host::{Readiness, Shutdown};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::line::BenchLine;
use super::platform::Server;
use crate::settings::Settings;
use load::{Load, Measured};

/// Turns of a case and its baseline.
const TURNS: usize = 3;
const POOL_CONNECTIONS: u32 = 8;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Chargers that are connected
    #[arg(long, default_value_t = 256, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// How long each turn of each case runs
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

pub async fn run(settings: &Settings, args: Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let server = Server::start(settings).await?;
    let measured = measure(&server, &args, out).await;
    server.stop().await?;
    measured
}

async fn measure(server: &Server, args: &Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let edge = Edge::start(server).await?;
    let echo = echo::Echo::start().await?;
    let turn = Duration::from_secs(args.seconds);
    for load in [Load::Heartbeats, Load::MeterValues { values: 1 }, Load::MeterValues { values: 5 }] {
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..TURNS {
            theirs.push(load::run(echo.address, load, args.connections, turn).await.context("the echo server")?);
            ours.push(load::run(edge.address, load, args.connections, turn).await.context("the edge")?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let mut line = BenchLine::new("ocpp", load.name(), "messages/s", ours.per_s).beside("echo", theirs.per_s);
        if let Load::MeterValues { values } = load {
            line = line.detail("values_per_s", (ours.per_s * f64::from(values)).round());
        }
        line = line.detail("connections", args.connections).detail("p50_ms", ours.p50_ms).detail("p99_ms", ours.p99_ms);
        out(line.detail("echo_p50_ms", theirs.p50_ms));
    }
    echo.stop().await;
    edge.stop().await
}

fn median(mut turns: Vec<Measured>) -> Measured {
    turns.sort_by(|a, b| a.per_s.total_cmp(&b.per_s));
    turns.swap_remove(turns.len() / 2)
}

/// An edge on a database of its own, without the other roles: it answers when the log has the message.
struct Edge {
    address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), ocpp_edge::Error>>,
}

impl Edge {
    async fn start(server: &Server) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(POOL_CONNECTIONS).connect_with(server.options()?).await?;
        schema::MIGRATOR.run(&pool).await?;
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
        let app = Application::new(store, pool, MasterKey::new(rand::random()), Policies::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let config =
            ocpp_edge::Config { unknown_chargers: ocpp_edge::UnknownChargers::Accept, ..ocpp_edge::Config::new() };
        let shutdown = Shutdown::new();
        let ended = shutdown.clone();
        let running =
            tokio::spawn(async move { ocpp_edge::run(config, app, listener, &Readiness::default(), ended).await });
        Ok(Self { address, shutdown, running })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.begin();
        Ok(self.running.await??)
    }
}
