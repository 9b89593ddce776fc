//! `cargo xtask cluster`: the whole cluster on this machine, with the demo on it.

/// `println!` for what runs on: whoever read it may have gone.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod build;
mod console;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cluster::{Cluster, Options, Traffic};
use tokio::signal::unix::{SignalKind, signal};

/// What developers run from the root of the repository
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The whole cluster on this machine, with the demo's chargers and drivers on it
    ///
    /// Kafka, a Postgres with a replica, PgBouncer in front of it, processes of each role, and nginx in front of those. The
    /// first start fetches Kafka (about 45 MB) and builds the program; later ones take seconds. Data, ports and passwords are
    /// kept in --directory. Ctrl-C stops everything.
    ///
    /// While it runs, type what should happen to it: `kill edge-1`, `freeze relay-1`, `thaw relay-1`, `start edge-1`,
    /// `promote`, `status`; `help` tells the rest.
    #[command(after_help = "\
Examples:
  cargo xtask cluster
  cargo xtask cluster --kafka-nodes 3 --edges 3      and kill a node of Kafka, or an edge
  cargo xtask cluster --asynchronous --no-traffic    a replica that may lag, and nobody there
  cargo xtask cluster --set COULOMB_DRAIN_S=30       a variable for all processes of the program
  jq -r .http target/cluster/cluster.json            addresses and logins, for scripts

It needs what ./test installs on Debian: postgresql pgbouncer nginx-light default-jre-headless maven.")]
    Cluster(ClusterArgs),
}

#[derive(Args, Debug)]
struct ClusterArgs {
    /// Where everything is kept; remove it to begin anew
    #[arg(long, value_name = "DIRECTORY", default_value = "target/cluster")]
    directory: PathBuf,

    /// How the program is built
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,

    /// Run this program instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    program: Option<PathBuf>,

    /// Nodes of Kafka: 1, or 3 of which one may fail; 0: none, the log is read from Postgres
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = kafka_nodes)]
    kafka_nodes: u16,

    /// The primary does not wait for its replica
    #[arg(long, conflicts_with = "no_replica")]
    asynchronous: bool,

    /// One Postgres alone
    #[arg(long)]
    no_replica: bool,

    /// Roles reach Postgres directly
    #[arg(long)]
    no_pgbouncer: bool,

    /// No chargers and no drivers
    #[arg(long)]
    no_traffic: bool,

    /// Processes that bring the log to Kafka; one leads
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    relays: u16,

    /// Processes that build the read models
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    projections: u16,

    /// Processes that take commands
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    commands: u16,

    /// Processes that answer queries and WebSockets
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    realtimes: u16,

    /// Processes that chargers connect to
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    edges: u16,

    /// Where nginx takes HTTP and WebSockets; 0 takes a free port
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http: u16,

    /// Where nginx takes chargers; 0 takes a free port
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    ocpp: u16,

    /// A variable for the program's processes, which goes before what the cluster sets
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    set: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    Release,
    Debug,
}

fn kafka_nodes(text: &str) -> Result<u16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("0, 1 or 3 nodes are possible".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    split
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "must be NAME=VALUE, such as COULOMB_DRAIN_S=30".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, and no backtrace: what went wrong is outside.
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("{}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let Cli { command: Command::Cluster(args) } = Cli::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let started = Instant::now();
    let starting = async {
        let program = match &args.program {
            Some(program) => program.clone(),
            None => build::coulomb(args.profile).await?,
        };
        let options = options(args, program);
        anyhow::Ok(Cluster::launch_saying(options, |text| say!("{text}")).await?)
    };
    let cluster = tokio::select! {
        cluster = starting => cluster.context("the cluster can't be started")?,
        // What was started is ended by the guardians.
        () = &mut stopped => anyhow::bail!("stopped while starting"),
    };
    screen::welcome(&cluster, started.elapsed()).await;
    console::until_stopped(&cluster, stopped).await;
    say!("Stopping ...");
    cluster.stop().await.context("something is left")
}

fn options(args: ClusterArgs, program: PathBuf) -> Options {
    let port = |port: u16| Some(port).filter(|port| *port > 0);
    Options {
        kafka_nodes: args.kafka_nodes,
        replica: !args.no_replica,
        synchronous: !args.asynchronous,
        pgbouncer: !args.no_pgbouncer,
        relays: args.relays,
        projections: args.projections,
        commands: args.commands,
        realtimes: args.realtimes,
        edges: args.edges,
        http_port: port(args.http),
        ocpp_port: port(args.ocpp),
        traffic: if args.no_traffic { Traffic::None } else { Traffic::Demo },
        environment: args.set,
        ..Options::new(args.directory, program)
    }
}
