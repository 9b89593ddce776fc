//! The events as who reads their lines sees them: AsyncAPI 3.0.

use schema::reference::{json_schema, meanings};
use serde_json::{Map, Value, json};

use super::markdown::{kept, older, read_models};
use super::{Entry, kafka, line};

pub(super) const SCHEMAS: &str = "#/components/schemas/";
/// The message of an event that the program can't understand.
const UNDECODABLE: &str = "Undecodable";

pub fn document(entries: &[Entry]) -> Value {
    let mut messages: Map<_, _> =
        entries.iter().map(|entry| (entry.event.event_type.to_owned(), message(entry))).collect();
    messages.insert(UNDECODABLE.to_owned(), undecodable());
    let mut schemas: Map<_, _> = entries.iter().map(schema).collect();
    let parts = &meanings().parts;
    schemas.extend(parts.iter().map(|(name, part)| (name.clone(), json_schema::part(part, SCHEMAS))));
    schemas.insert("Envelope".to_owned(), line::schema());
    schemas.extend(kafka::schemas());

    let in_channel: Map<_, _> =
        messages.keys().map(|name| (name.clone(), refer(&format!("#/components/messages/{name}")))).collect();
    messages.extend(kafka::messages());
    let mut channels = kafka::channels(entries);
    channels.insert("events".to_owned(), json!({
        "title": "The history of events",
        "description": "A line for each event, in the order of positions. With filters (--type, --stream, --since, ...) \
            a part of them. No line ever changes; a line that was written twice is known by its position and generation.",
        "messages": in_channel,
    }));
    let mut operations = kafka::operations();
    operations.insert(
        "export".to_owned(),
        json!({
            "action": "send",
            "summary": "`coulomb events export --format jsonl --to <folder>`: files, by ranges of positions and days.",
            "channel": refer("#/channels/events"),
        }),
    );
    operations.insert(
        "tail".to_owned(),
        json!({
            "action": "send",
            "summary": "`coulomb events tail --json`: the newest to a pipe; with --follow also those to come.",
            "channel": refer("#/channels/events"),
        }),
    );
    let tags: Vec<_> =
        meanings().aggregates.iter().map(|(name, says)| json!({"name": name, "description": says})).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Coulomb: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The history, for who analyses it: lines of JSON, each an event in its newest version; and the \
                topics of Kafka, where there are any, with the same lines in the version in which they were stored.",
            "license": {"name": "Apache-2.0"},
            "tags": tags,
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "messageTraits": kafka::traits(), "schemas": schemas},
    })
}

fn message(entry: &Entry) -> Value {
    let event = entry.event;
    let mut says = vec![
        format!("Kept as {}.", kept(entry)),
        format!("Ordered by {}.", event.partition_key.says()),
        format!("Folded by {}.", read_models(entry)),
    ];
    says.extend(event.older.iter().map(older));
    let versions: Vec<_> = event.older.iter().map(|older| older.version.as_str()).chain([event.version]).collect();
    let required: Vec<_> = line::required_if_understood().into_iter().chain(["payload"]).collect();
    let own = json!({
        "type": "object",
        "required": required,
        "properties": {
            "aggregate_type": {"const": event.aggregate},
            "event_type": {"const": event.event_type},
            "event_version": {"enum": versions},
            "payload": refer(&format!("{SCHEMAS}{}", event.event_type)),
            "undecodable": false,
        },
    });
    json!({
        "name": event.event_type,
        "title": event.event_type,
        "summary": event.says,
        "description": says.join(" "),
        "tags": [{"name": event.aggregate}],
        "payload": {"allOf": [refer(&format!("{SCHEMAS}Envelope")), own]},
        "examples": [{"summary": "With everything filled that may be.", "payload": line::example(event)}],
    })
}

fn undecodable() -> Value {
    let own = json!({
        "type": "object",
        "required": ["payload", "undecodable"],
        "properties": {
            "payload": {"description": "As it is stored: under the name of its type. Null where that is no JSON."},
            "undecodable": {"type": "string", "description": "Why."},
        },
    });
    json!({
        "name": UNDECODABLE,
        "title": UNDECODABLE,
        "summary": "An event that this program can't understand, since a newer one wrote it.",
        "payload": {"allOf": [refer(&format!("{SCHEMAS}Envelope")), own]},
    })
}

fn schema(entry: &Entry) -> (String, Value) {
    let event = entry.event;
    (event.event_type.to_owned(), json_schema::object(event.says, event.members, SCHEMAS))
}

pub(super) fn refer(to: &str) -> Value {
    json!({"$ref": to})
}
