//! `coulomb projections as-of`.

use anyhow::bail;
use history::{Asked, Error, Moment, Past};
use schema::view::{PAGE_ROWS_MAX, Query, RowChange, ViewStore};
use serde::Serialize;
use serde_json::Value;

use super::model::Named;
use crate::command_database::CommandDatabase;

/// Rows of a list for people, unless another number is asked for.
const ROWS: u64 = 50;
/// Rows that are read at a time.
const PAGE_ROWS: u32 = 1_000;
/// Characters of a row in a list for people.
const ROW_CHARS_MAX: usize = 100;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Without KEY, rows are listed by their keys. Personal values stay sealed. Keys are ids; of meter values, the session's id, a
slash and the number of the report's event with ten digits.

Examples:
  coulomb projections as-of sessions --at 2026-03-01T08:15:00Z
  coulomb projections as-of charge_points 0190163d-8694-739a-b1c2-000000000005 --at 120000 --json")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// One row
    key: Option<String>,

    /// A position of the log, or a time: the last position that was recorded by then
    #[arg(long, value_name = "POSITION|TIME", value_parser = asked)]
    at: Asked,

    /// How many rows to list; all of them with --json, 50 without
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn asked(text: &str) -> Result<Asked, String> {
    text.parse().map_err(|error| format!("{text} {}", error_text(&error)))
}

fn error_text(error: &dyn std::fmt::Display) -> String {
    error.to_string().replacen("is ", "is not ", 1)
}

/// A row as it was.
#[derive(Serialize)]
struct Line<'r> {
    model: &'static str,
    key: &'r str,
    /// Of the event that had changed it last.
    position: i64,
    as_of: i64,
    row: Value,
}

impl<'r> Line<'r> {
    fn of(change: &'r RowChange, at: &Moment) -> anyhow::Result<Self> {
        let row = serde_json::from_str(&change.row.to_json())?;
        let (model, as_of) = (change.row.model().name(), at.position.0);
        Ok(Self { model, key: &change.key, position: change.position.0, as_of, row })
    }
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let past = Past::new(database.store().await?, ViewStore::new(database.pool().clone()));
    look(&past, args).await.map_err(|error| match error.downcast_ref::<Error>().map(what_next) {
        Some(next) => error.context(next),
        None => error,
    })
}

async fn look(past: &Past, args: Args) -> anyhow::Result<()> {
    let at = past.moment(args.at).await?;
    if !args.json {
        let recorded = at.recorded_at.map(|time| format!(", recorded at {}", time.to_rfc3339()));
        say!("As of position {}{}", at.position, recorded.unwrap_or_default());
    }
    let Some(key) = &args.key else { return list(past, &args, &at).await };
    let Some(change) = past.get(args.named.model, key, &at).await? else {
        bail!("there was no row {key} of {} at position {}", args.named.model.name(), at.position);
    };
    let line = Line::of(&change, &at)?;
    if args.json {
        say!("{}", serde_json::to_string(&line)?);
    } else {
        say!("{} {key}, changed last at {}", line.model, line.position);
        say!("{}", serde_json::to_string_pretty(&line.row)?);
    }
    Ok(())
}

async fn list(past: &Past, args: &Args, at: &Moment) -> anyhow::Result<()> {
    let mut left = args.limit.unwrap_or(if args.json { u64::MAX } else { ROWS });
    let mut after = None;
    loop {
        let rows = u32::try_from(left).unwrap_or(PAGE_ROWS_MAX).min(PAGE_ROWS);
        let page = past.list(&Query::of(args.named.model).after(after).limit(rows), at).await?;
        for change in &page.rows {
            let line = Line::of(change, at)?;
            if args.json {
                say!("{}", serde_json::to_string(&line)?);
            } else {
                say!("{}  {:>10}  {}", line.key, line.position, short(&line.row));
            }
        }
        left -= page.rows.len() as u64;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
        if left == 0 {
            if !args.json {
                say!("... and more (--limit)");
            }
            return Ok(());
        }
    }
}

fn short(row: &Value) -> String {
    let text = row.to_string();
    match text.char_indices().nth(ROW_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What to do about it.
fn what_next(error: &Error) -> &'static str {
    match error {
        Error::AboveHead { .. } | Error::NotYet { .. } => "ask for a position or a time that the log has reached",
        Error::NotKept { .. } => "ask for that position or a later one",
        Error::Behind { .. } => "start a projection-service, wait until it has caught up, and ask again",
        Error::Busy { .. } => "ask again",
        Error::Views(_) | Error::Log(_) => "see whether the database can be reached, and ask again",
    }
}
