//! How Postgres is reached.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use pool::Hosts;

/// What stands between this process and Postgres.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler in session mode
    #[default]
    None,
    /// PgBouncer, or another pooler, in transaction mode
    Transaction,
}

#[derive(Args, Clone, Debug, Default)]
pub struct DatabaseArgs {
    /// What DATABASE_URL leads through
    #[arg(long, env = "COULOMB_DATABASE_POOLER", value_enum, default_value_t, global = true, value_name = "POOLER")]
    pub database_pooler: Pooler,

    /// The same database without the pooler: for notices (without it: polling), migrations and commands
    #[arg(long, env = "COULOMB_DIRECT_DATABASE_URL", hide_env_values = true, global = true, value_name = "URL",
        value_parser = database_url)]
    pub direct_database_url: Option<String>,

    /// A replica for queries and snapshots, of several hosts a standby; the primary answers while it is gone, or too far behind
    #[arg(long, env = "COULOMB_READ_DATABASE_URL", hide_env_values = true, global = true, value_name = "URL",
        value_parser = database_url)]
    pub read_database_url: Option<String>,

    /// How many positions of the log the replica may be behind to be asked
    #[arg(long, env = "COULOMB_READ_STALENESS_POSITIONS", default_value_t = 1_000, global = true, value_name = "POSITIONS",
        value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
    pub read_staleness_positions: i64,
}

/// `postgres://user:password@host:5432/database`; several hosts are separated by commas.
pub fn database_url(text: &str) -> Result<String, String> {
    Hosts::from_str(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
