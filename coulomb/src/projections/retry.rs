//! `coulomb projections retry`: what waits of a parked key is applied.

use projection_service::parked::{self, ParkedKey, Trial};
use read_models::Folds;
use schema::view::Model;
use serde_json::json;
use uuid::Uuid;

use super::model;
use super::operating::{Operating, outcome, release_all};
use crate::command_database::CommandDatabase;

/// Keys of one `--all`.
const KEYS_MAX: i64 = 100_000;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The release is an event of the log: whoever owns the key's partition meets it in order, and applies what waits right there,
with the code that it runs. So start the mended program first. What fails again stays parked, with its new error. One release
applies at most 10,000 events; as long as more wait, the command releases the key again, and says how far it is.

With --dry-run, the code of this program is tried on the real events, and nothing is written.")]
pub struct Args {
    /// The key
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
    key: Option<Uuid>,

    /// Every parked key
    #[arg(long)]
    all: bool,

    /// In this read model only
    #[arg(long, value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    operating: Operating,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let mut keys = parked::list(database.pool(), args.model, args.key, KEYS_MAX).await?;
    // A key is released in all builds of a read model at once.
    keys.sort_by_key(|key| (key.partition_key, key.model));
    keys.dedup_by_key(|key| (key.partition_key, key.model));
    if keys.is_empty() {
        match args.key {
            Some(key) => anyhow::bail!("nothing of {key} is parked: `coulomb projections parked` lists what is"),
            None => say!("Nothing is parked."),
        }
        return Ok(());
    }
    let store = database.store().await?;
    if args.dry_run {
        for key in &keys {
            let slot = (key.model, key.partition_key);
            for trial in parked::try_release(database.pool(), &store, &Folds::of_today(), slot, None).await? {
                tell(key, &trial, args.json);
            }
        }
        return Ok(());
    }
    let operator = args.operating.operator();
    let released = release_all(database, &store, &operator, keys).await?;
    outcome(database, &store, &operator, released, args.json).await
}

pub fn tell(key: &ParkedKey, trial: &Trial, json: bool) {
    let Trial { model, stopped_at, applied, stops_at, more, rows } = trial;
    let (model, key) = (model.name(), key.partition_key);
    if json {
        let rows: Vec<_> = rows.iter().map(|row| json!({"key": row.key, "row": raw(&row.row.to_json())})).collect();
        let stops = stops_at.as_ref().map(|(position, error)| json!({"position": position, "error": error}));
        let line = json!({
            "model": model, "partition_key": key, "stopped_at": stopped_at, "would_apply": applied,
            "would_stop_at": stops, "more": more, "rows": rows,
        });
        say!("{line}");
        return;
    }
    match stops_at {
        None => say!("{model} {key}: all {applied} events would be applied; {} rows would change.", rows.len()),
        Some((position, error)) => {
            say!("{model} {key}: {applied} events would be applied, then it would stand still at {position}: {error}");
        }
    }
    if *more {
        say!("  more events wait than are tried here: a retry goes on with them");
    }
    for row in rows.iter().take(10) {
        say!("  {}  {}", row.key, row.row.to_json());
    }
    if rows.len() > 10 {
        say!("  ... (--json shows all)");
    }
}

fn raw(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}
