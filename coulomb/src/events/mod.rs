//! `coulomb events`: the history, looked at, followed, written out.

mod archive;
mod catalogue;
mod dead_letters;
mod disclosure;
mod export;
mod filter;
mod line;
mod moment;
mod names;
mod show;
mod tail;

use clap::Subcommand;

use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
They work on the database at DATABASE_URL, or on the private one in --data-dir: that of a running `coulomb up`, or, where
none runs, started for the command. Personal values stay sealed unless --with-personal-data is given.

Examples:
  coulomb events tail --follow                     what happens, as it happens
  coulomb events tail --type SessionPriced -n 5
  coulomb events show CP001                        all that is known of one charger
  coulomb events export --format parquet --to exports
  coulomb events export --verify exports
  coulomb events archive --class telemetry --before 90d --to s3://archive/coulomb
  coulomb events catalogue                         what there is, and what it means
  coulomb events dead-letters                      what could not be taken in: parked events, records of Kafka")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// The newest events, or those of a stretch; with --follow also those to come
    Tail(tail::Args),
    /// The history of one thing, from its first event: when, who, why
    Show(show::Args),
    /// Write the history out as JSON lines or Parquet, or check what was written
    Export(export::Args),
    /// Move whole ranges of a retention class to object storage, check them there, take them out of the log
    Archive(archive::Args),
    /// Every event type, with what its members mean
    Catalogue(catalogue::Args),
    /// What could not be taken in: events that a read model has parked, records of Kafka that can't be decoded
    DeadLetters(dead_letters::Args),
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    if let Command::Catalogue(args) = &args.command {
        return catalogue::run(args);
    }
    if let Command::Export(args) = &args.command
        && let Some(folder) = &args.verify
    {
        return export::verify(folder, args.json);
    }
    if let Command::Export(args) = &args.command {
        args.check_format()?;
    }
    if let Command::Archive(args) = &args.command {
        args.check_built()?;
    }
    let database = CommandDatabase::open(settings).await?;
    let ran = match args.command {
        Command::Tail(args) => tail::run(settings, &database, args).await,
        Command::Show(args) => show::run(settings, &database, args).await,
        Command::Export(args) => export::run(settings, &database, args).await,
        Command::Archive(args) => archive::run(&database, args).await,
        Command::DeadLetters(args) => dead_letters::run(&database, args).await,
        Command::Catalogue(_) => Ok(()),
    };
    // What the command says went wrong says more than that the database did not stop after it.
    let closed = database.close().await;
    ran.and(closed)
}
