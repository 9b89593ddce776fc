//! `coulomb projections skip`: one event is left out of a read model.

use projection_service::parked;
use read_models::Folds;
use schema::log::Position;
use schema::view::Model;
use uuid::Uuid;

use super::model;
use super::operating::{Operating, outcome};
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The skip is an event of the log too, with who did it and why. The event that is left out stays in the log; a read model that is
built anew goes on without it too.")]
pub struct Args {
    /// The key
    #[arg(value_name = "KEY")]
    key: Uuid,

    /// Of the waiting event
    #[arg(value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    position: i64,

    /// In which read model; needed where several have the key parked
    #[arg(long, value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// Say what would happen to the rest, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    operating: Operating,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let keys = parked::list(database.pool(), args.model, Some(args.key), 100).await?;
    let Some(key) = keys.first().cloned() else {
        anyhow::bail!("nothing of {} is parked: `coulomb projections parked` lists what is", args.key);
    };
    if let Some(other) = keys.iter().find(|other| other.model != key.model) {
        anyhow::bail!(
            "{} is parked in {} and {}: say which with --model",
            args.key,
            key.model.name(),
            other.model.name()
        );
    }
    let position = Position(args.position);
    let store = database.store().await?;
    if args.dry_run {
        let slot = (key.model, key.partition_key);
        for trial in parked::try_release(database.pool(), &store, &Folds::of_today(), slot, Some(position)).await? {
            super::retry::tell(&key, &trial, args.json);
        }
        return Ok(());
    }
    let operator = args.operating.operator();
    let at = parked::skip(database.pool(), &store, &operator, key.model, key.partition_key, position).await?;
    outcome(database, &store, &operator, vec![(key, at)], args.json).await
}
