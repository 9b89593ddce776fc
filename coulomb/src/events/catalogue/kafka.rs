//! The topics of Kafka, as who consumes them sees them.

use event_store::dead_letters;
use schema::record::header;
use schema::topics::{DEAD_LETTER_PARTITIONS, DEFAULT_PREFIX, LogTopic, RECORD_BYTES_MAX, STATION_COMMANDS};
use serde_json::{Map, Value, json};

use super::Entry;
use super::asyncapi::{SCHEMAS, refer};

const BINDING: &str = "0.5.0";
const WATERMARK: &str = "Watermark";
const DEAD_LETTER: &str = "DeadLetter";
/// What a record of an event has beside its line.
const TRAIT: &str = "kafkaRecord";

pub fn channels(entries: &[Entry]) -> Map<String, Value> {
    let events = |topic: LogTopic| {
        let held = entries.iter().filter(|entry| topic.holds(entry.event.event_type));
        let mut messages: Map<_, _> = held.map(|entry| (entry.event.event_type.to_owned(), record(entry))).collect();
        messages.insert(WATERMARK.to_owned(), refer(&format!("#/components/messages/{WATERMARK}")));
        messages
    };
    let dead_letters = json!({DEAD_LETTER: refer(&format!("#/components/messages/{DEAD_LETTER}"))});
    let commands =
        format!("A copy of what the edges follow: {}. Otherwise as the topic of events.", STATION_COMMANDS.join(", "));
    let channels = [
        (
            "kafkaEvents",
            channel(
                LogTopic::Events.as_str(),
                "The topic of events",
                EVENTS,
                LogTopic::Events.partitions(),
                events(LogTopic::Events).into(),
            ),
        ),
        (
            "kafkaStationCommands",
            channel(
                LogTopic::StationCommands.as_str(),
                "The topic of station commands",
                &commands,
                LogTopic::StationCommands.partitions(),
                events(LogTopic::StationCommands).into(),
            ),
        ),
        (
            "kafkaDeadLetters",
            channel("dead-letters", "The topic of dead letters", LETTERS, DEAD_LETTER_PARTITIONS, dead_letters),
        ),
    ];
    channels.into_iter().map(|(name, channel)| (name.to_owned(), channel)).collect()
}

const EVENTS: &str = "Every event is a record of the partition that its line says; the records of a partition are in the order of \
    positions. Of each partition, drop a record or watermark that is not above the last one taken, by generation and then by \
    position: then nothing comes twice, and where `prev` is above the last one taken, something is missing. The event is in the \
    version in which it was stored: of one that is older than the newest, the payload is as that version has it. docs/kafka.md \
    says how to consume it.";

const LETTERS: &str = "What could not be taken in: events that a read model has parked, and records that a consumer could not \
    decode. Each change of one is a record, at least once; the last record of an id counts.";

fn channel(name: &str, title: &str, description: &str, partitions: i32, messages: Value) -> Value {
    json!({
        "address": format!("{{prefix}}.{name}"),
        "title": title,
        "description": description,
        "parameters": {"prefix": {
            "default": DEFAULT_PREFIX,
            "description": "What the names of the topics begin with: COULOMB_KAFKA_TOPIC_PREFIX.",
        }},
        "messages": messages,
        "bindings": {"kafka": {
            "partitions": partitions,
            "topicConfiguration": {"cleanup.policy": ["delete"], "max.message.bytes": RECORD_BYTES_MAX},
            "bindingVersion": BINDING,
        }},
    })
}

pub fn operations() -> Map<String, Value> {
    let operation = |channel: &str, summary: &str| json!({"action": "send", "summary": summary, "channel": refer(&format!("#/channels/{channel}"))});
    let relay = "`coulomb relay`, some milliseconds after the commit.";
    let operations = [
        ("relayEvents", operation("kafkaEvents", relay)),
        ("relayStationCommands", operation("kafkaStationCommands", relay)),
        (
            "relayDeadLetters",
            operation("kafkaDeadLetters", "`coulomb relay`, within seconds, from the table `dead_letters`."),
        ),
    ];
    operations.into_iter().map(|(name, operation)| (name.to_owned(), operation)).collect()
}

/// The event's message, with key and headers.
fn record(entry: &Entry) -> Value {
    let event = entry.event;
    json!({
        "name": event.event_type,
        "title": event.event_type,
        "summary": event.says,
        "traits": [refer(&format!("#/components/messageTraits/{TRAIT}"))],
        "payload": refer(&format!("#/components/messages/{}/payload", event.event_type)),
    })
}

pub fn messages() -> Map<String, Value> {
    let mut messages = Map::new();
    messages.insert(WATERMARK.to_owned(), json!({
        "name": WATERMARK,
        "title": WATERMARK,
        "summary": "Everything of this partition up to a position stands before this record, which has neither key nor value.",
        "headers": {
            "type": "object",
            "required": [header::WATERMARK, header::GENERATION],
            "properties": {
                header::WATERMARK: text("Up to which position.", NUMBER),
                header::GENERATION: text("Of the log.", NUMBER),
                header::LOG: log(),
            },
        },
        "payload": {"type": "null"},
    }));
    messages.insert(
        DEAD_LETTER.to_owned(),
        json!({
            "name": DEAD_LETTER,
            "title": DEAD_LETTER,
            "summary": "A row of the table of dead letters, as it has become.",
            "headers": {
                "type": "object",
                "required": ["id", "source", "state"],
                "properties": {
                    "id": text("As in the value.", NUMBER),
                    "source": {"enum": words(&dead_letters::Source::ALL.map(dead_letters::Source::as_str))},
                    "state": {"enum": words(&dead_letters::State::ALL.map(dead_letters::State::as_str))},
                },
            },
            "bindings": {"kafka": {"key": text("The id.", NUMBER), "bindingVersion": BINDING}},
            "payload": refer(&format!("{SCHEMAS}{DEAD_LETTER}")),
        }),
    );
    messages
}

pub fn traits() -> Value {
    let headers = json!({
        "type": "object",
        "required": [
            header::POSITION, header::PREV, header::GENERATION, header::TYPE, header::VERSION, header::EVENT_ID,
        ],
        "properties": {
            header::POSITION: text("Place in the log: dense over all partitions, from 1.", NUMBER),
            header::PREV: text("Position of the record before it in this partition of this topic; 0: there is none.", NUMBER),
            header::GENERATION: text("Generation of the log that the position belongs to.", NUMBER),
            header::TYPE: {"type": "string", "description": "As event_type in the value."},
            header::VERSION: {"type": "string", "description": "As event_version in the value."},
            header::EVENT_ID: {"type": "string", "format": "uuid", "description": "As in the value."},
            header::LOG: log(),
            header::TRACE: {"type": "string", "description": "W3C trace id, where there is one."},
        },
    });
    let key = json!({"type": "string", "format": "uuid", "description": "The partition key."});
    json!({TRAIT: {"headers": headers, "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}}}})
}

fn log() -> Value {
    json!({"type": "string", "format": "uuid", "description":
        "Which log it is of: the id of its first event, the same in all records. Those of older programs have none."})
}

const NUMBER: &str = "^[0-9]+$";

fn text(says: &str, pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "description": says})
}

fn words(words: &[&'static str]) -> Value {
    words.iter().copied().map(Value::from).collect()
}

/// The schema of a dead letter.
pub fn schemas() -> Map<String, Value> {
    let time = |says: &str| json!({"type": "string", "format": "date-time", "description": says});
    let or_null = |of: &str, says: &str| json!({"type": [of, "null"], "description": says});
    let bytes = |says: &str| json!({"type": ["string", "null"], "contentEncoding": "base64", "description": says});
    let source = |word: dead_letters::Source, properties: Value, required: &[&str]| json!({"properties": {"source": {"const": word.as_str()}}, "required": required, "allOf": [{"properties": properties}]});
    let of_build = json!({
        "model": {"type": "string", "description": "The read model that can't apply the event."},
        "build": {"type": "integer", "description": "The number of its build."},
        "partition_key": {"type": "string", "format": "uuid", "description": "The key that stands still."},
    });
    let of_record = json!({
        "topic": {"type": "string", "description": "Where the record stands."},
        "partition": {"type": "integer", "description": "The partition of that topic."},
        "offset": {"type": "integer", "description": "Its offset there."},
        "headers": {"type": "array", "items": {"type": "object"}, "description":
            "Each with its name, and value or, where that is no text, value_base64."},
        "key_base64": bytes("Its key."),
        "value_base64": bytes("Its value, of a long one the first 64 KiB."),
        "value_bytes": or_null("integer", "How long its value is."),
        "settled_by": {"type": "string", "description": "Who settled it."},
        "reason": {"type": "string", "description": "Why."},
    });
    let schema = json!({
        "type": "object",
        "description": "What could not be taken in. Nothing in it is the only copy: events are in the log, and what a record should \
            have said is read from there.",
        "required": ["id", "source", "state", "first_seen", "error", "position"],
        "properties": {
            "id": {"type": "integer", "description": "Its number."},
            "source": {"enum": words(&dead_letters::Source::ALL.map(dead_letters::Source::as_str)), "description":
                "read-model: an event that one can't apply. kafka: a record that a consumer can't decode."},
            "state": {"enum": words(&dead_letters::State::ALL.map(dead_letters::State::as_str)), "description":
                "waiting; then released (applied after all), skipped, replayed (it is the log's event, as was seen later) or \
                 dropped (with the build that had parked it)."},
            "first_seen": time("When it was found."),
            "settled_at": time("Since when it waits no more."),
            "error": or_null("string", "Why it could not be taken in; null: it waits behind the first of its key."),
            "position": or_null("integer", "Of the event in the log; of a record, as its headers say."),
            "event_type": {"type": "string", "description": "Type of the event, where it is known."},
        },
        "oneOf": [
            source(dead_letters::Source::ReadModel, of_build, &["model", "build", "partition_key"]),
            source(
                dead_letters::Source::Kafka,
                of_record,
                &["topic", "partition", "offset", "headers", "key_base64", "value_base64", "value_bytes"],
            ),
        ],
    });
    Map::from_iter([(DEAD_LETTER.to_owned(), schema)])
}
