//! `coulomb projections parked`.

use projection_service::parked::{self, ParkedKey};
use schema::view::Model;

use super::model;
use crate::command_database::CommandDatabase;

const LIMIT: i64 = 100;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
When an event can't be applied to a read model, its key stands still there: that event and every later one of the key wait in
order. Other keys, and the key's rows in other read models, go on. What to do:

  coulomb projections show KEY             the event, and what waits behind it
  coulomb projections retry KEY --dry-run  what this program's code would make of it, nothing written
  coulomb projections retry KEY            apply what waits, after a mended program was started
  coulomb projections skip KEY POSITION    leave that one event out of the read model, for good")]
pub struct Args {
    /// Of this read model only
    #[arg(value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// At most so many, the oldest first
    #[arg(long, default_value_t = LIMIT, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    limit: i64,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let keys = parked::list(database.pool(), args.model, None, args.limit).await?;
    if args.json {
        for key in keys {
            say!("{}", serde_json::to_string(&key)?);
        }
        return Ok(());
    }
    if keys.is_empty() {
        say!("Nothing is parked.");
        return Ok(());
    }
    let full = i64::try_from(keys.len()).is_ok_and(|count| count == args.limit);
    say!("{:<36}  {:<14} {:>5} {:>12} {:>8}  {:<20}  ERROR", "KEY", "MODEL", "BUILD", "POSITION", "WAITING", "SINCE");
    for key in &keys {
        line(key);
    }
    if full {
        say!("... and perhaps more: --limit");
    }
    Ok(())
}

fn line(key: &ParkedKey) {
    let ParkedKey { model, build, partition_key, position, waiting, parked_at, error, .. } = key;
    let (model, since) = (model.name(), parked_at.format("%Y-%m-%dT%H:%M:%SZ"));
    let position = position.0;
    say!("{partition_key}  {model:<14} {build:>5} {position:>12} {waiting:>8}  {since:<20}  {error}");
}
