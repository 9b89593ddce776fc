//! The composition root and the command line: which parts run in this process, on which database and ports.

/// `println!` for what runs on: whoever read it may have gone, which must end neither a server nor its chargers' charging.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod archives;
pub mod bench;
pub mod cli;
mod command_database;
mod data_dir;
mod database;
mod database_args;
mod demo;
mod demo_file;
mod drain_args;
mod events;
mod health;
mod interrupted;
mod kafka_args;
mod keys;
mod listen;
mod log;
mod master_key;
mod migrate;
mod ocpp_args;
mod projections;
mod relay;
mod replay;
mod roles;
mod settings;
mod supervisor;
mod up;
pub mod watch;

use service_host::logging;

pub use cli::Cli;
pub use demo_file::{Credentials, DemoCharger, DemoFile};

/// What is logged unless RUST_LOG says otherwise: ours, and what others find alarming.
const LOG_FILTER: &str = "info,sqlx=warn,hyper=warn";
const LOG_FILTER_ON_SCREEN: &str = "warn";

/// How a command ends that has said everything, but not as well as it could: the code that its process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// Carries out one command line.
///
/// # Errors
/// With the whole chain of causes, for a person at a terminal.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { settings, log, command } = cli;
    // The screen of these is for people: what goes well is not logged there.
    let on_screen = matches!(
        command,
        cli::Command::Demo(_)
            | cli::Command::Watch(_)
            | cli::Command::Health(_)
            | cli::Command::Projections(_)
            | cli::Command::Events(_)
            | cli::Command::Replay(_)
            | cli::Command::Keys(_)
            | cli::Command::Log(_)
    );
    logging::init(log.log_format, if on_screen { LOG_FILTER_ON_SCREEN } else { LOG_FILTER })?;
    for unknown in service_host::config::unknown_variables::<Cli>("COULOMB_") {
        tracing::warn!("{unknown}");
    }
    match command {
        cli::Command::Up(args) => up::run(&settings, &args).await,
        cli::Command::Demo(args) => demo::run(&settings, &args).await,
        cli::Command::OcppEdge(args) => roles::run_alone(&settings, roles::Alone::OcppEdge(args)).await,
        cli::Command::CommandService(args) => roles::run_alone(&settings, roles::Alone::CommandService(args)).await,
        cli::Command::ProjectionService(args) => {
            roles::run_alone(&settings, roles::Alone::ProjectionService(args)).await
        }
        cli::Command::RealtimeApi(args) => roles::run_alone(&settings, roles::Alone::RealtimeApi(args)).await,
        cli::Command::Relay(args) => roles::run_alone(&settings, roles::Alone::Relay(args)).await,
        cli::Command::Migrate => migrate::run(&settings).await,
        cli::Command::Health(args) => health::run(&args).await,
        cli::Command::Projections(args) => projections::run(&settings, args).await,
        cli::Command::Events(args) => events::run(&settings, args).await,
        cli::Command::Keys(args) => keys::run(&settings, args).await,
        cli::Command::Log(args) => log::run(&settings, args).await,
        cli::Command::Replay(args) => replay::run(&settings, args).await,
        cli::Command::Watch(args) => watch::run(&settings, args).await,
        cli::Command::Bench(args) => bench::run(&settings, args).await,
    }
}
