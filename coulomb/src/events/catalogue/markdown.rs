//! The events as a text with tables.

use std::fmt::Write;

use schema::columns::{ENVELOPE, snake_case};
use schema::reference::{Empty, Kind, Member, Older, Part, json_schema, meanings};
use serde_json::Value;

use super::{Entry, line};

const INTRODUCTION: &str = "\
# Events

Every event type there is, in its newest version. Made by `coulomb events catalogue` from what the sources say; the same as
AsyncAPI 3.0 with JSON schemas is [events.asyncapi.json](events.asyncapi.json). How to get at events is in
[analytics.md](analytics.md).

An event is stored as `{\"<type>\": {<members>}}`, never changed, in the version that was newest when it was written. Whoever reads it
through the program (export, views of analysts, read models) gets the newest version: upcasters lead there from older ones, and what they
do is said with the event.

- *Ordered by*: events of one partition key are read in the order in which they happened, whatever runs in parallel.
- *Kept*: the class of retention. `ledger` is money, ten years; `operational` is what happened to things and people, years; `telemetry`
  is meter values, repeated statuses and connections, months.
- *Folded by*: the read models whose rows it changes.
- Times are RFC 3339 in UTC, ids are UUIDs, decimals are texts so that no reader rounds them. Units are in names: `_wh`, `_w`, `_s`, `_percent`.
- 🔒 is sealed: a text `v1.<key id>.<...>` that only `--with-personal-data` opens, and nobody once the key was destroyed.
- *Known words* are those of an open list: others may come.
- *or null* is written as null where there is nothing to say, *or absent* is left out.
";

pub fn text(entries: &[Entry]) -> String {
    let mut text = String::from(INTRODUCTION);
    contents(&mut text, entries);
    envelope(&mut text);
    for (aggregate, says) in in_order(entries) {
        text.push_str(&format!("\n## {aggregate}\n\n{says}\n"));
        entries.iter().filter(|entry| entry.event.aggregate == aggregate).for_each(|entry| event(&mut text, entry));
    }
    text.push_str("\n## Parts\n\nObjects within events.\n");
    for (name, described) in &meanings().parts {
        part(&mut text, name, described);
    }
    text
}

/// The aggregates, in the order of the catalogue.
fn in_order(entries: &[Entry]) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = vec![];
    for entry in entries {
        let aggregate = entry.event.aggregate;
        if found.last().is_none_or(|(last, _)| *last != aggregate) {
            found.push((aggregate, meanings().aggregates.get(aggregate).map_or("", String::as_str)));
        }
    }
    found
}

fn contents(text: &mut String, entries: &[Entry]) {
    text.push_str("\n| event | version | of | kept | folded by |\n|---|---|---|---|---|\n");
    for entry in entries {
        let event = entry.event;
        let row = format!(
            "| {} | {} | {} | {} | {} |\n",
            link(event.event_type),
            event.version,
            event.aggregate,
            kept(entry),
            read_models(entry)
        );
        text.push_str(&row);
    }
}

fn envelope(text: &mut String) {
    text.push_str("\n## Envelope\n\nWhat stands around every event. What is not known is absent.\n");
    text.push_str("\n| member | type | meaning |\n|---|---|---|\n");
    for column in ENVELOPE {
        let (name, kind, says) = (column.name, line::column_type(column.column_type), column.says);
        text.push_str(&format!("| `{name}` | {kind} | {says} |\n"));
    }
}

fn event(text: &mut String, entry: &Entry) {
    let event = entry.event;
    let table = snake_case(event.event_type);
    let facts = format!(
        "\n### {}\n\n{}\n\nVersion {} · table `{table}` · ordered by {} · kept as {} · folded by {}\n",
        event.event_type,
        event.says,
        event.version,
        event.partition_key.says(),
        kept(entry),
        read_models(entry),
    );
    text.push_str(&facts);
    for version in &event.older {
        text.push_str(&format!("\n{}\n", older(version)));
        version.changes.iter().for_each(|line| text.push_str(&format!("\n    {line}")));
        if !version.changes.is_empty() {
            text.push('\n');
        }
    }
    members(text, event.members);
    example(text, &event.example);
}

fn part(text: &mut String, name: &str, part: &Part) {
    text.push_str(&format!("\n### {name}\n\n{}\n", part.says));
    members(text, &part.members);
    if !part.alternatives.is_empty() {
        text.push_str("\nAn object with exactly one of these members:\n");
        text.push_str("\n| member | what it is | its members |\n|---|---|---|\n");
    }
    for alternative in &part.alternatives {
        let member = |member: &Member| format!("`{}` ({}): {}", member.name, kind(member), meaning(member));
        let within: Vec<_> = alternative.members.iter().map(member).collect();
        let (name, says) = (&alternative.name, &alternative.says);
        text.push_str(&format!("| `{name}` | {} | {} |\n", cell(says), within.join("<br>")));
    }
}

fn members(text: &mut String, members: &[Member]) {
    if members.is_empty() {
        return;
    }
    text.push_str("\n| member | type | meaning |\n|---|---|---|\n");
    for member in members {
        text.push_str(&format!("| `{}` | {} | {} |\n", member.name, kind(member), meaning(member)));
    }
}

fn meaning(member: &Member) -> String {
    let mut says = member.says.clone();
    if let Some(words) = json_schema::known_words(&member.kind) {
        let open = matches!(innermost(&member.kind), Kind::Text { .. });
        says = format!("{says} {} {words}.", if open { "Known words:" } else { "One of" });
    }
    cell(&says)
}

fn innermost(kind: &Kind) -> &Kind {
    match kind {
        Kind::List { of } => innermost(of),
        other => other,
    }
}

/// What would end a cell of a table is escaped.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn kind(member: &Member) -> String {
    let empty = match member.empty {
        Empty::Never => "",
        Empty::Null => " or null",
        Empty::Absent => " or absent",
    };
    let sealed = if member.sealed { "🔒 " } else { "" };
    format!("{sealed}{}{empty}", of_kind(&member.kind))
}

fn of_kind(kind: &Kind) -> String {
    match kind {
        Kind::Text { .. } | Kind::FormedText => "text".to_owned(),
        Kind::OneOf { .. } => "word".to_owned(),
        Kind::Uuid => "UUID".to_owned(),
        Kind::Time => "time".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Decimal => "decimal".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Integer { .. } => "integer".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Anything => "any JSON".to_owned(),
        Kind::Object { part } => link(part),
        Kind::List { of } => format!("list of {}", of_kind(of)),
    }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn example(text: &mut String, example: &Value) {
    let lines = format!("{example:#}");
    let (open, close) = ("<details><summary>Example</summary>", "</details>");
    write!(text, "\n{open}\n\n```json\n{lines}\n```\n\n{close}\n").expect("a string grows");
}

/// `operational where repeated is false, telemetry where repeated is true`
pub fn kept(entry: &Entry) -> String {
    let class = |kept: &schema::reference::Kept| match &kept.depends_on {
        None => kept.class.to_owned(),
        Some((member, is)) => format!("{} where `{member}` is {is}", kept.class),
    };
    entry.event.retention.iter().map(class).collect::<Vec<_>>().join(", ")
}

pub fn read_models(entry: &Entry) -> String {
    let name = |folded: &super::Folded| match folded.of_people_only {
        false => format!("`{}`", folded.model),
        true => format!("`{}` (where a person asked for it)", folded.model),
    };
    match entry.read_models.as_slice() {
        [] => "none".to_owned(),
        models => models.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

pub fn older(older: &Older) -> String {
    format!("Version {} is read as version {}: {}.", older.version, older.to, older.says.trim_end_matches('.'))
}
