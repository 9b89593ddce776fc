//! `coulomb events catalogue`: every event type, and what its members mean.
//!
//! What it prints is kept in `docs/events.md` and `docs/events.asyncapi.json`; a test fails when they are stale.

mod asyncapi;
mod folded;
mod kafka;
mod line;
mod markdown;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use clap::ValueEnum;
use schema::reference::{self, EventReference};
use serde::Serialize;
use serde_json::{Value, json};

use folded::{Folded, folded};

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
It needs no database. docs/events.md and docs/events.asyncapi.json are what it prints.

Examples:
  coulomb events catalogue | less
  coulomb events catalogue --format asyncapi > events.asyncapi.json
  coulomb events catalogue --format json | jq -r '.events[] | select(.read_models[].model == \"sessions\") | .event_type'")]
pub struct Args {
    /// A text with tables, AsyncAPI 3.0 with JSON schemas, or everything as one JSON object
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Markdown,
    Asyncapi,
    Json,
}

/// An event type, and what the read models make of it.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    event: &'static EventReference,
    read_models: Vec<Folded>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(args.format.text().as_bytes()) {
        // Whoever read it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

impl Format {
    fn text(self) -> String {
        match self {
            Self::Markdown => markdown::text(&entries()),
            Self::Asyncapi => pretty(&asyncapi::document(&entries())),
            Self::Json => pretty(&json!({
                "envelope": line::members(),
                "events": entries(),
                "parts": reference::meanings().parts,
            })),
        }
    }
}

fn entries() -> Vec<Entry> {
    reference::events().iter().map(|event| Entry { event, read_models: folded(event) }).collect()
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}
