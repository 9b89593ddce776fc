//! `coulomb keys`: other keys in the place of those that are.

mod rotate;

use anyhow::Context;
use application::vault::rotation;
use clap::Subcommand;

use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
They work on the database at DATABASE_URL, or on the private one in --data-dir.

Examples:
  openssl rand -base64 32 > new-key && chmod 600 new-key
  coulomb keys rotate --master-key-file new-key    another master key; every Coulomb process has to be stopped
  coulomb keys rotate --signing                    another key for access tokens, while all runs
  coulomb keys rotate --person 0198...             another key for what is sealed for a driver from now on
  coulomb keys expire                              destroy keys whose retention has ended (also done each minute)")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Put another key in the place of one
    Rotate(rotate::Args),
    /// Destroy the keys whose retention has ended: what was sealed under them can't be opened any more
    Expire,
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    // One connection, so that whoever else is there is somebody else.
    let alone = Settings { database_connections: 1, ..settings.clone() };
    let database = CommandDatabase::open(&alone).await?;
    let done = match &args.command {
        Command::Rotate(args) => rotate::run(settings, &database, args).await,
        Command::Expire => expire(&database).await,
    };
    database.close().await?;
    done
}

async fn expire(database: &CommandDatabase) -> anyhow::Result<()> {
    let keys = rotation::expire(database.pool()).await.context("the keys can't be reached; nothing was changed")?;
    say!("{keys} keys were destroyed whose retention has ended.");
    Ok(())
}
