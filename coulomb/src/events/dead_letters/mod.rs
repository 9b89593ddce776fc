//! `coulomb events dead-letters`: what could not be taken in.

mod list;
mod retry;
mod show;
mod skip;

use anyhow::Context;
use clap::Subcommand;
use event_store::dead_letters::{self, DeadLetter, Of};
use projection_service::parked::{self, ParkedKey};
use schema::view::Model;
use uuid::Uuid;

use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Two kinds of things are here: events that a read model can't apply, which wait with their key (`coulomb projections parked`),
and records of Kafka that a consumer can't decode. Of neither anything is lost: events are in the log, and what a record should
have said is read from the log in its place. Each change is copied to the topic of dead letters.

  coulomb events dead-letters                    what waits
  coulomb events dead-letters show ID
  coulomb events dead-letters retry ID           apply what waits of the key; or try to decode the record again
  coulomb events dead-letters retry --all
  coulomb events dead-letters skip ID --reason 'another program wrote into our topic'"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    list: list::Args,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// What waits, the oldest first; this is what is done when nothing else is said
    List(list::Args),

    /// One of them
    Show(show::Args),

    /// Apply what waits of a parked event's key, or decode a record again
    Retry(retry::Args),

    /// Leave a parked event out of its read model for good, or let a record be
    Skip(skip::Args),
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    match args.command.unwrap_or(Command::List(args.list)) {
        Command::List(args) => list::run(database, args).await,
        Command::Show(args) => show::run(database, args).await,
        Command::Retry(args) => retry::run(database, args).await,
        Command::Skip(args) => skip::run(database, args).await,
    }
}

async fn get(database: &CommandDatabase, id: i64) -> anyhow::Result<DeadLetter> {
    let found = dead_letters::get(database.pool(), id).await?;
    found.with_context(|| {
        format!("there is no dead letter {id}: `coulomb events dead-letters --all` lists all there are")
    })
}

/// What stands still of the key that a parked event waits with, if it still does.
async fn parked_key(database: &CommandDatabase, model: &str, key: Uuid) -> anyhow::Result<Option<ParkedKey>> {
    let named = Model::ALL.into_iter().find(|known| known.name() == model);
    let model = named.with_context(|| format!("this program knows of no read model {model}: a newer one may"))?;
    Ok(parked::list(database.pool(), Some(model), Some(key), 1).await?.into_iter().next())
}

/// Where it was to go, in a few words.
fn place(letter: &DeadLetter) -> String {
    match &letter.of {
        Of::Build { model, build, partition_key } => {
            let position = letter.position.unwrap_or_default();
            format!("{model} build {build}, {partition_key} at {position}")
        }
        Of::Record(record) => format!("{} partition {} offset {}", record.topic, record.partition, record.offset),
    }
}
