//! `coulomb projections`: read models looked at, built anew, compared, exchanged.

mod as_of;
mod compare;
mod drop;
mod list;
pub mod model;
pub mod operating;
mod parked;
mod rebuild;
mod retry;
mod rollback;
mod show;
mod skip;
mod swap;
mod verify;

use clap::Subcommand;

use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
They work on the database at DATABASE_URL, or on the private one in --data-dir: that of a running `coulomb up`, or, where
none runs, started for the command.

Examples:
  coulomb projections list
  coulomb projections rebuild sessions     build it anew beside the one that serves, and compare the two
  coulomb projections swap sessions        let the new build serve
  coulomb projections rollback sessions    let the old one serve again
  coulomb projections drop sessions        throw the one away that does not serve
  coulomb projections as-of sessions --at 2026-03-01T08:15:00Z
  coulomb projections parked               keys that stand still because of an event
  coulomb projections verify               prove that the read models have consumed the whole log")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// The read models: their builds, how far each is, how large
    List(list::Args),

    /// Build a read model anew beside the live one, and compare the two
    Rebuild(rebuild::Args),

    /// Compare the build that has joined with the live one, row by row
    Compare(compare::Args),

    /// Let the build serve that has joined
    Swap(swap::Args),

    /// Let the build serve again that served before
    Rollback(rollback::Args),

    /// A read model as it was at a position of the log, or at a time
    AsOf(as_of::Args),

    /// Drop the build that does not serve
    Drop(drop::Args),

    /// Keys that stand still because of an event that could not be applied
    Parked(parked::Args),

    /// A parked key, and the events that wait with it
    Show(show::Args),

    /// Apply what waits of a parked key, or say what would happen
    Retry(retry::Args),

    /// Leave one event out of a read model
    Skip(skip::Args),

    /// Prove that the log is whole and the read models have consumed all of it, or say where not
    Verify(verify::Args),
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    let database = CommandDatabase::open(settings).await?;
    let ran = match args.command {
        Command::List(args) => list::run(&database, args).await,
        Command::Rebuild(args) => rebuild::run(&database, args).await,
        Command::Compare(args) => compare::run(&database, args).await,
        Command::Swap(args) => swap::run(&database, args).await,
        Command::Rollback(args) => rollback::run(&database, args).await,
        Command::AsOf(args) => as_of::run(&database, args).await,
        Command::Drop(args) => drop::run(&database, args).await,
        Command::Parked(args) => parked::run(&database, args).await,
        Command::Show(args) => show::run(&database, args).await,
        Command::Retry(args) => retry::run(&database, args).await,
        Command::Skip(args) => skip::run(&database, args).await,
        Command::Verify(args) => verify::run(&database, args).await,
    };
    // What the command says went wrong says more than that the database did not stop after it.
    let closed = database.close().await;
    ran.and(closed)
}
