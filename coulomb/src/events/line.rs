//! An event as a line: for people, or as JSON.

use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, Local, Utc};
use schema::columns::{self, ENVELOPE, EventTable};
use schema::stored::StoredEvent;
use serde_json::{Map, Value};

use super::disclosure::Opener;
use super::names::Identities;
use crate::command_database::CommandDatabase;

/// Characters of one member that a line for people shows.
const MEMBER_CHARS_MAX: usize = 60;

/// An event in its newest version, ready to be shown.
pub struct Shown {
    pub stored: StoredEvent,
    /// None: it can't be understood, and is shown as it is stored.
    pub table: Option<&'static EventTable>,
    /// The event's own members.
    pub members: Value,
    /// Why it can't be understood.
    pub undecodable: Option<String>,
}

impl Shown {
    pub async fn of(stored: StoredEvent, opener: Option<&Opener>) -> anyhow::Result<Self> {
        Ok(match columns::row::newest(&stored) {
            Ok((table, mut members)) => {
                if let Some(opener) = opener {
                    opener.open(table, &mut members).await?;
                }
                Self { stored, table: Some(table), members, undecodable: None }
            }
            Err(error) => {
                let members = serde_json::from_str(&stored.payload).unwrap_or_default();
                Self { stored, table: None, members, undecodable: Some(error.to_string()) }
            }
        })
    }

    /// The envelope's columns and the event's members, as one object.
    pub fn json(&self) -> Value {
        let envelope = columns::row::envelope(&self.stored);
        let cells = ENVELOPE.iter().zip(&envelope).map(|(column, cell)| (column.name.to_owned(), cell.to_json()));
        let mut object: Map<String, Value> = cells.filter(|(_, value)| !value.is_null()).collect();
        object.insert("payload".to_owned(), self.members.clone());
        if let Some(error) = &self.undecodable {
            object.insert("undecodable".to_owned(), error.as_str().into());
        }
        Value::Object(object)
    }

    /// The event's own members, on one line.
    fn members(&self, opened: bool) -> String {
        if let Some(error) = &self.undecodable {
            return format!("can't be understood: {error}");
        }
        let sealed = |name: &str| {
            let columns = self.table.map_or(&[][..], |table| &table.columns);
            let column = columns.iter().find(|column| column.path.len() == 1 && column.path[0] == name);
            column.is_some_and(|column| column.column_type == columns::ColumnType::Sealed)
        };
        let mut said = vec![];
        for (name, value) in self.members.as_object().into_iter().flatten() {
            let text = match value {
                Value::Null if opened && sealed(name) => "(erased)".to_owned(),
                Value::Null => continue,
                Value::Array(values) if values.is_empty() => continue,
                Value::String(_) if !opened && sealed(name) => "(sealed)".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            said.push(format!("{name}={}", short(&text)));
        }
        said.join(" ")
    }
}

fn short(text: &str) -> String {
    // Control characters would act on the terminal: what chargers write is shown, not obeyed.
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match text.char_indices().nth(MEMBER_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].chars().map(clean).collect::<String>()),
        None => text.chars().map(clean).collect(),
    }
}

/// How lines are written.
pub struct Lines {
    pub json: bool,
    pub color: bool,
    pub opened: bool,
    pub identities: Identities,
}

impl Lines {
    /// For stdout; in colours where people read them.
    pub async fn new(database: &CommandDatabase, json: bool, opener: Option<&Opener>) -> anyhow::Result<Self> {
        Ok(Self {
            json,
            color: io::stdout().is_terminal() && !json,
            opened: opener.is_some(),
            identities: Identities::load(database.pool()).await?,
        })
    }

    /// Position, time, whose, what, and what it says.
    pub fn write(&self, out: &mut impl Write, shown: &Shown) -> io::Result<()> {
        if self.json {
            return writeln!(out, "{}", shown.json());
        }
        let stored = &shown.stored;
        let whose = match self.identities.of(stored.aggregate_id) {
            Some(identity) => short(identity),
            None => format!("{} {}", stored.aggregate_type, stored.aggregate_id),
        };
        let text = format!("{whose}  {}", shown.members(self.opened));
        self.line(out, stored, &text)
    }

    /// Position, time, what, who and why: of a stream, whose it is need not be said.
    pub fn write_of_stream(&self, out: &mut impl Write, shown: &Shown) -> io::Result<()> {
        if self.json {
            return writeln!(out, "{}", shown.json());
        }
        let mut text = shown.members(self.opened);
        if let Ok(envelope) = shown.stored.envelope() {
            let actor = &envelope.actor;
            let name = actor.id.parse().ok().and_then(|id| self.identities.of(id)).unwrap_or(&actor.id);
            text.push_str(&format!("  by {} {}", actor.kind, short(name)));
            if let Some(reason) = &envelope.reason {
                text.push_str(&format!(" because {:?}", short(reason)));
            }
            if let Some(occurred_at) = envelope.times.as_ref().and_then(|times| times.occurred_at)
                && (occurred_at - shown.stored.recorded_at).abs() > chrono::TimeDelta::seconds(5)
            {
                text.push_str(&format!("  (happened {})", time(occurred_at)));
            }
        }
        self.line(out, &shown.stored, text.trim_start())
    }

    fn line(&self, out: &mut impl Write, stored: &StoredEvent, text: &str) -> io::Result<()> {
        let (position, at, event_type) = (stored.position.0, time(stored.recorded_at), &stored.event_type);
        let text = text.trim_end();
        match self.color {
            true => writeln!(out, "\x1b[2m{position:>9}  {at}\x1b[0m  \x1b[36m{event_type:<24}\x1b[0m {text}"),
            false => writeln!(out, "{position:>9}  {at}  {event_type:<24} {text}"),
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Whether whoever read it has enough: then the command has done what was asked.
pub fn is_enough(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
