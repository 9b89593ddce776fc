//! `coulomb projections compare`.

use projection_service::rebuild::{Compared, Difference};
use serde_json::Value;

use super::model::Named;
use crate::Exit;
use crate::command_database::CommandDatabase;

/// What the process ends with when the builds differ.
const DIFFER: Exit = Exit(3);
/// Members of a row that are shown.
const PARTS_MAX: usize = 12;
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 60;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The two builds are read in one snapshot, in which both are at the same position. Positions of rows are left out. Of each
row that differs: its key, what differs in it, live before new, and the last event that made it.

The command ends with 0 when all rows are equal, with 3 when some differ.")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// How many differing rows to show
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    sample: u32,

    /// A JSON object, with the differing rows whole
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let compared = database.rebuilder().await?.compare(args.named.model, args.sample).await?;
    if args.json {
        say!("{}", serde_json::to_string(&compared)?);
    } else {
        show(&compared);
    }
    if compared.differing() > 0 { Err(DIFFER.into()) } else { Ok(()) }
}

/// For people.
pub fn show(compared: &Compared) {
    let Compared { live, shadow, position, live_rows, shadow_rows, .. } = compared;
    let (name, position) = (live.model.name(), position.0);
    say!(
        "{name} at position {position}: build {} (live, version {}) has {live_rows} rows, build {} (version {}) has \
         {shadow_rows}.",
        live.number,
        live.fold_version,
        shadow.number,
        shadow.fold_version
    );
    if compared.differing() == 0 {
        say!("All rows are equal.");
        return;
    }
    say!(
        "{} rows differ: {} with another content, {} only live, {} only new.",
        compared.differing(),
        compared.changed,
        compared.only_live,
        compared.only_shadow
    );
    for difference in &compared.sample {
        row(difference);
    }
    let more = compared.differing() - compared.sample.len() as i64;
    if more > 0 {
        say!("\n... and {more} more (--sample shows more of them)");
    }
}

fn row(difference: &Difference) {
    let made_by = difference.event.as_ref().map_or_else(
        || "by an event that the log no longer has".to_owned(),
        |event| format!("by {} at {}, number {} of {}", event.event_type, event.position, event.sequence, event.stream),
    );
    say!("\n{}  made {made_by}", difference.key);
    if difference.live.is_none() {
        say!("  is only in the new build");
        return;
    }
    if difference.shadow.is_none() {
        say!("  is only in the live build");
        return;
    }
    for part in difference.parts.iter().take(PARTS_MAX) {
        say!("  {}: {} -> {}", part.path, short(&part.live), short(&part.shadow));
    }
    if difference.parts.len() > PARTS_MAX {
        say!("  ... and {} more members (--json shows all)", difference.parts.len() - PARTS_MAX);
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
