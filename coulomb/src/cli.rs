//! The command line, written to be learned from `--help`.

use clap::{Args, Parser, Subcommand};
use command_service::CommandArgs;
use realtime_api::RealtimeArgs;
use service_host::config::{HttpArgs, LogArgs};

use crate::ocpp_args::OcppArgs;
use crate::settings::Settings;

/// An event-sourced platform for EV charging networks
///
/// Chargers speak OCPP to it, drivers and operators send it commands, everything that happens becomes an event, and
/// every change is streamed to whoever follows it.
#[derive(Parser, Debug)]
#[command(name = "coulomb", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  coulomb demo                       a charging network to look at, with simulated chargers and drivers
  coulomb up                         the same without the demo, for your own chargers
  coulomb up --http 8090 --ocpp 0    on other ports; 0 takes a free one
  coulomb watch charger:CP001        follow one charger live, in another terminal
  DATABASE_URL=postgres://... coulomb ocpp-edge
                                     one role in a process of its own")]
pub struct Cli {
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run every role in this process (HTTP on 8080, OCPP on 9000)
    ///
    /// Without DATABASE_URL it starts a private Postgres from the installed binaries; its data is below --data-dir.
    #[command(after_help = "\
Examples:
  coulomb up
  coulomb up --data-dir /srv/coulomb --http 0.0.0.0:8080 --ocpp 0.0.0.0:9000
  DATABASE_URL=postgres://coulomb@db/coulomb COULOMB_MASTER_KEY=... coulomb up")]
    Up(UpArgs),

    /// `up` with simulated chargers and drivers, and what to try on the screen
    #[command(after_help = "\
Examples:
  coulomb demo
  coulomb demo --data-dir /tmp/second --http 0 --ocpp 0    a second one beside the first
  coulomb demo --against http://127.0.0.1:8080 --against-ocpp ws://127.0.0.1:9000
                                     only chargers and drivers, in a platform that runs elsewhere")]
    Demo(DemoArgs),

    /// Run only the chargers' sockets (OCPP on 9000, admin on 9001)
    OcppEdge(OcppEdgeArgs),

    /// Run only the commands of drivers and operators (HTTP on 8081)
    CommandService(CommandServiceArgs),

    /// Run only the workers that build the read models (admin on 8083)
    ProjectionService(HttpArgs),

    /// Run only the queries and the WebSocket (HTTP on 8082)
    RealtimeApi(RealtimeApiArgs),

    /// Run only the relay that brings the log to Kafka (admin on 8084); of several, one works and the others stand by
    #[command(after_help = "\
Example:
  DATABASE_URL=postgres://coulomb@db/coulomb KAFKA_BROKERS=kafka:9092 coulomb relay")]
    Relay(HttpArgs),

    /// Bring the database to this version, then end
    #[command(after_help = "\
Example:
  DATABASE_URL=postgres://coulomb@db/coulomb coulomb migrate")]
    Migrate,

    /// Ask a process of this machine whether it is alive, then end (for the health checks of containers)
    #[command(after_help = "\
Examples:
  coulomb health                  /health at COULOMB_HTTP_LISTEN, or on 8080
  coulomb health --ready --http 8082")]
    Health(crate::health::HealthArgs),

    /// Look at the read models, build them anew beside the ones that serve, compare, swap
    Projections(crate::projections::Args),

    /// Look at the history: follow it, one thing's part of it, write it out for analysts
    Events(crate::events::Args),

    /// Say whether the log has all that it had, and go on after a failover or restore that lost events
    Log(crate::log::Args),

    /// Put other keys in the place of those that are
    Keys(crate::keys::Args),

    /// Let a part of the history happen again, in a database of its own, to watch it
    Replay(crate::replay::Args),

    /// Follow a topic live, over the WebSocket that phones use
    Watch(crate::watch::Args),

    /// Measure, each beside its baseline in the same run
    Bench(crate::bench::Args),
}

#[derive(Args, Clone, Debug)]
pub struct UpArgs {
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub ocpp: OcppArgs,
    #[command(flatten)]
    pub commands: CommandArgs,
    #[command(flatten)]
    pub realtime: RealtimeArgs,
}

#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub up: UpArgs,

    /// Starts no platform: chargers and drivers are of the one at this address. It needs an operator's e-mail and password
    #[arg(long, value_name = "URL", requires_all = ["against_ocpp", "operator_email"])]
    pub against: Option<String>,

    /// Where that platform's chargers connect, without the charger's id
    #[arg(long, value_name = "URL", requires = "against")]
    pub against_ocpp: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct RealtimeApiArgs {
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub realtime: RealtimeArgs,
}

#[derive(Args, Clone, Debug)]
pub struct CommandServiceArgs {
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub commands: CommandArgs,
}

#[derive(Args, Clone, Debug)]
pub struct OcppEdgeArgs {
    /// Health, readiness and metrics
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub ocpp: OcppArgs,
}
