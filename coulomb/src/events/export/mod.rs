//! `coulomb events export`: the history in files, a sealed range of positions at a time.
//!
//! A range lies below the head of the log, so that nothing in it can change. Each is written aside and moved into place
//! whole; its manifest comes last. Whoever runs the command again goes on after the last manifest.

mod explain;
mod file;
mod folder;
mod jsonl;
mod manifest;
#[cfg(feature = "archive")]
mod parquet;
mod range;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use schema::log::Position;
use serde::{Deserialize, Serialize};

use super::disclosure::DisclosureArgs;
use super::filter::{FilterArgs, Selection};
use crate::command_database::CommandDatabase;
use crate::interrupted::Interruptions;
use crate::settings::Settings;
use folder::Folder;
use manifest::{Filtered, Plan};
use range::{Context as Common, Range};

pub use verify::verify;

/// Positions in a range: 16 blocks of the log's digests.
const RANGE_POSITIONS: i64 = 16 * 65_536;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Parquet: a folder for each event type, its columns typed, below it one for each day. JSON lines: one folder, all events.
_manifest says which positions are there, and the SHA-256 of each file. Run again with the same options it goes on where
it stopped. docs/analytics.md has recipes for DuckDB and Python.

Examples:
  coulomb events export --format parquet --to exports
  coulomb events export --format jsonl --to sessions --aggregate ChargingSession --since 2026-03-01
  coulomb events export --verify exports")]
pub struct Args {
    /// How to write it
    #[arg(long, value_enum, required_unless_present = "verify")]
    pub format: Option<Format>,

    /// The folder to write into: a new or empty one, or that of an export to go on with
    #[arg(long, value_name = "FOLDER", required_unless_present = "verify")]
    pub to: Option<PathBuf>,

    /// Check the files of an export against its manifests; needs no database
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["format", "to", "with_personal_data", "whole_ranges"])]
    pub verify: Option<PathBuf>,

    /// Positions in a range, at whose multiples files end
    #[arg(long, value_name = "NUMBER", default_value_t = RANGE_POSITIONS, value_parser = clap::value_parser!(i64).range(1_000..=100_000_000))]
    pub range_positions: i64,

    /// Leave the last range for the next time, if the log ends within it
    #[arg(long)]
    pub whole_ranges: bool,

    /// One JSON object for each range
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub filter: FilterArgs,

    #[command(flatten)]
    pub disclosure: DisclosureArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An object a line
    Jsonl,
    /// Tables with typed columns
    Parquet,
}

impl Args {
    /// Whether this program can write what is asked for.
    pub fn check_format(&self) -> anyhow::Result<()> {
        if self.format == Some(Format::Parquet) && !cfg!(feature = "archive") {
            bail!(
                "this program was built without Parquet: build it with `cargo build --release --features archive`, use the \
                 Docker image, which has it, or export with --format jsonl"
            );
        }
        Ok(())
    }
}

pub async fn run(settings: &Settings, database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let (Some(format), Some(to)) = (args.format, &args.to) else { bail!("give --format and --to") };
    let store = database.store().await?;
    let selection = args.filter.select(database.pool(), &store).await?;
    let (_, generation) = store.head().await?;
    let plan = Plan {
        format,
        range_positions: args.range_positions,
        after_position: selection.after.0,
        filter: Filtered::of(&selection.filter),
        personal_data: args.disclosure.with_personal_data.into(),
    };
    let mut folder = Folder::open(to, &plan, generation).map_err(|error| explain::of(error, to, None))?;
    let after = folder.reached().unwrap_or(selection.after);
    let upto = if args.whole_ranges {
        Position(selection.upto.0 / args.range_positions * args.range_positions)
    } else {
        selection.upto
    };
    if upto <= after {
        return nothing_new(&args, to, after, selection.upto);
    }

    let rest = Selection { after, upto, ends: true, ..selection };
    let destination = to.canonicalize().unwrap_or_else(|_| to.clone()).display().to_string();
    let through = "events export";
    let opener = args.disclosure.begin(settings, database, &store, through, &rest, Some(destination)).await?;
    let progress = progress(&args, rest.upto.0 - after.0);
    let common = Common {
        generation: generation.0,
        schema_version: schema_version(database.pool()).await?,
        opener: opener.as_ref(),
        progress: &progress,
    };
    let mut interruptions = Interruptions::new()?;
    let mut events = 0;
    for range in Range::of(after, rest.upto, args.range_positions) {
        let written = tokio::select! {
            written = range::write(&store, &range, &rest.filter, &plan, &mut folder, &common) => written,
            () = interruptions.next() => {
                progress.finish_and_clear();
                bail!("stopped: positions up to {} are exported; run it again to go on", folder.reached().unwrap_or(after));
            }
        };
        let manifest = written.map_err(|error| {
            progress.finish_and_clear();
            explain::of(error, to, Some(folder.reached().unwrap_or(after)))
        })?;
        events += manifest.events;
        if args.json {
            say!("{}", serde_json::to_string(&manifest)?);
        }
    }
    progress.finish_and_clear();
    if !args.json {
        say!("{events} events of positions {} to {} are in {}.", after.0 + 1, rest.upto, to.display());
        say!("Check them with: coulomb events export --verify {}", to.display());
    }
    Ok(())
}

fn nothing_new(args: &Args, to: &Path, after: Position, upto: Position) -> anyhow::Result<()> {
    if !args.json {
        match upto > after {
            true => say!(
                "Positions {} to {upto} are no whole range yet: run it later, or without --whole-ranges.",
                after.0 + 1
            ),
            false => say!("Nothing is new: everything up to position {after} is in {}.", to.display()),
        }
    }
    Ok(())
}

/// On a terminal that people look at.
fn progress(args: &Args, positions: i64) -> ProgressBar {
    if args.json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(positions.unsigned_abs());
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} positions, {per_sec}, {eta} left");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The migration that the database is at.
async fn schema_version(pool: &pool::Pool) -> anyhow::Result<i64> {
    let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
    sqlx::query_scalar(newest).fetch_one(pool).await.context("the version of the database")
}
