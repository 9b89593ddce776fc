//! `coulomb log`: whether the log has all that it had, and how to go on when it has not.

mod readiness;
mod recover;
mod said;
mod status;

use clap::Subcommand;
use event_store::lineage::Successor;
use event_store::{EventStore, StoreOptions};

use crate::archives;
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

pub use readiness::register;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
They work on the database at DATABASE_URL, or on the private one in --data-dir; with KAFKA_BROKERS, what Kafka has of the log
is looked at too. What to do after a failover or a restore is in docs/recovery.md.

Examples:
  coulomb log status                     whether events are appended, and if not, why and what to do
  coulomb log recover                    what was lost, and what would be done
  coulomb log recover --yes              do it
  coulomb log recover --upto 4711 --yes  without Kafka: 4711 is the highest position that anybody has seen")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Say whether the log takes events, of which generation it is, and how the former ones ended
    Status(status::Args),
    /// Go on after a promotion or restore that lost events: say which, and with --yes fill their positions and begin a new
    /// generation
    Recover(recover::Args),
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    let database = CommandDatabase::open(settings).await?;
    let done = match args.command {
        Command::Status(args) => status::run(&database, &args).await,
        Command::Recover(args) => recover::run(settings, &database, &args).await,
    };
    database.close().await?;
    done
}

/// The log, for one who looks on: nothing begins by itself because of it.
async fn store(database: &CommandDatabase) -> anyhow::Result<EventStore> {
    let options = StoreOptions { archive: archives::reader(), successor: Successor::Nobody, ..StoreOptions::default() };
    Ok(EventStore::connect(database.pool().clone(), options).await?)
}
