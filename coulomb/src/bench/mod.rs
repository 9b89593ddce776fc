//! `coulomb bench`: measurements, each beside its baseline in the same run, since machines differ and are noisy.

mod append;
mod as_of;
mod client;
mod e2e;
mod line;
mod ocpp;
mod platform;
mod processes;
mod rebuild;
mod relay;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Subcommand;

use crate::settings::Settings;

pub use line::{Baseline, BenchLine};

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Each measurement is one JSON object a line: {\"bench\",\"case\",\"unit\",\"value\",\"baseline\",\"ratio\",\"detail\"}; on a
terminal it is a table. Build with --release, or the figures mean nothing.

Examples:
  cargo run --release -- bench append
  cargo run --release -- bench e2e --rate 500 --seconds 20
  cargo run --release -- bench e2e --kafka
  cargo run --release -- bench ocpp | jq .ratio")]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand, Clone, Debug)]
enum Bench {
    /// Events into the log, beside postgres-es' own repository and a bare INSERT
    Append {
        /// How long each turn of each case runs
        #[arg(long, default_value_t = 5, value_name = "SECONDS")]
        seconds: u64,

        /// Measure instead what an append takes when the log holds so many events, one number after the other, beside an
        /// empty log; 50000000 take 25 GB and some minutes to be filled
        #[arg(long, value_delimiter = ',', value_name = "NUMBER,...", value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
        stored: Vec<i64>,

        /// Then how long a snapshot is held open, as a long query or a forgotten session would; 0: none is
        #[arg(long, default_value_t = 60, value_name = "SECONDS", requires = "stored")]
        held: u64,
    },
    /// Read models built anew from a log of many events, beside an ordered read-back of it
    Rebuild(rebuild::Args),
    /// Looking back in a database as it is: rows and lists as of random positions
    AsOf(as_of::Args),
    /// Messages of chargers through the edge's sockets into the log, beside a bare echo server
    Ocpp(ocpp::Args),
    /// Events from Postgres into Kafka, beside a bare producer of the same records and an ordered read-back. Kafka is the one at
    /// KAFKA_BROKERS, or a private one that is fetched the first time
    Relay(relay::Args),
    /// From a charger's frame to a phone's frame, through the whole platform in one process; or through several and Kafka
    E2e(e2e::Args),
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    let mut print = printer();
    match args.bench {
        Bench::Append { seconds, stored, held } => {
            let server = platform::Server::start(settings).await?;
            let [turn, held] = [seconds, held].map(Duration::from_secs);
            let options = append::AppendBench { server: server.options()?, turn, stored, held };
            let ran = append::run(options, &mut print).await;
            server.stop().await?;
            ran
        }
        Bench::Rebuild(args) => {
            let server = platform::Server::start(settings).await?;
            let ran = rebuild::run(server.options()?, args, &mut print).await;
            server.stop().await?;
            ran
        }
        Bench::Relay(args) => {
            let kafka = settings.kafka.options()?;
            let server = platform::Server::start(settings).await?;
            let ran = relay::run(server.options()?, kafka, args, &mut print).await;
            server.stop().await?;
            ran
        }
        Bench::AsOf(args) => as_of::run(settings, args, &mut print).await,
        Bench::Ocpp(args) => ocpp::run(settings, args, &mut print).await,
        Bench::E2e(args) => e2e::run(settings, args, &mut print).await,
    }
}

fn printer() -> impl FnMut(BenchLine) {
    let table = std::io::stdout().is_terminal();
    let mut first = true;
    move |line| {
        if !table {
            println!("{}", serde_json::to_string(&line).expect("a line has string keys and finite numbers"));
            return;
        }
        if std::mem::take(&mut first) {
            println!("{}", BenchLine::TABLE_HEAD);
        }
        println!("{}", line.table_row());
    }
}
