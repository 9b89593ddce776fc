//! What every command needs to know, from flags or variables.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::Args;

use crate::database_args::{DatabaseArgs, database_url};
use crate::drain_args::DrainArgs;
use crate::kafka_args::KafkaArgs;
use crate::master_key::MasterKey;

#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where the private Postgres, its data and the keys are kept
    #[arg(long, env = "COULOMB_DATA_DIR", default_value = ".coulomb", global = true, value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// Use this Postgres (14 or newer) instead of a private one. Of several hosts, as in
    /// postgres://user:password@one:5432,two:5432/name, the one that is the primary is used
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, value_name = "URL", value_parser = database_url)]
    pub database_url: Option<String>,

    /// Connections to the database that this process may hold
    #[arg(long, env = "COULOMB_DATABASE_CONNECTIONS", default_value_t = 32, global = true, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub database_connections: u32,

    /// The key that wraps the keys of persons: 32 bytes as hex or base64. Needed with DATABASE_URL; a private Postgres
    /// has its own in the data directory
    #[arg(long, env = "COULOMB_MASTER_KEY", hide_env_values = true, global = true, value_name = "KEY")]
    pub master_key: Option<MasterKey>,

    /// How long a driver who asked for a charge has to plug in, in seconds; at least the chargers' ConnectionTimeOut
    #[arg(long, env = "COULOMB_START_DEADLINE", default_value_t = 180, global = true, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub start_deadline: u32,

    /// How long a charger has to answer a command, in seconds
    #[arg(long, env = "COULOMB_CALL_TIMEOUT", default_value_t = 30, global = true, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=600))]
    pub call_timeout: u32,

    /// Workers of this process that build the read models, each with partitions of its own
    #[arg(long, env = "COULOMB_PROJECTION_WORKERS", default_value_t = 1, global = true, value_name = "NUMBER",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub projection_workers: u16,

    /// Keep what rows of the read models were every so many positions of the log, so that looking back folds no more than
    /// that. It holds for the database: the process that starts last decides
    #[arg(long, env = "COULOMB_SNAPSHOT_EVERY", default_value_t = 100_000, global = true, value_name = "POSITIONS",
        value_parser = clap::value_parser!(i64).range(1_000..=1_000_000))]
    pub snapshot_every: i64,

    #[command(flatten)]
    pub database: DatabaseArgs,

    #[command(flatten)]
    pub drain: DrainArgs,

    #[command(flatten)]
    pub kafka: KafkaArgs,
}

impl Settings {
    /// For how long things may take.
    pub fn application(&self) -> application::Settings {
        application::Settings {
            start_deadline: TimeDelta::seconds(self.start_deadline.into()),
            answer_timeout: TimeDelta::seconds(self.call_timeout.into()),
            ..application::Settings::default()
        }
    }
}
