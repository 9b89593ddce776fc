use std::fs;
use std::path::{Path, PathBuf};

use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::TenantId;
use jsonschema::Validator;
use read_models::may_touch;
use schema::golden::GOLDEN;
use schema::metadata;
use schema::stored::StoredEvent;
use schema::view::Model;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::*;
use crate::events::line::Shown;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

#[test]
fn the_documents_are_up_to_date() {
    for (name, format) in [("events.md", Format::Markdown), ("events.asyncapi.json", Format::Asyncapi)] {
        let (file, text) = (workspace().join("docs").join(name), format.text());
        if std::env::var_os("COULOMB_WRITE_GOLDEN").is_some() {
            fs::write(&file, &text).expect("the document can be written");
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let differ = kept.lines().zip(text.lines()).find(|(kept, text)| kept != text);
        assert!(
            kept == text,
            "docs/{name} is stale: COULOMB_WRITE_GOLDEN=1 cargo test -p coulomb --lib events::catalogue writes it. First \
             difference: {differ:?}"
        );
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::options().should_validate_formats(true).build(schema).expect("a schema")
}

/// Of one message, with what it refers to.
fn of_message(document: &Value, name: &str) -> Validator {
    let mut schema = document["components"]["messages"][name]["payload"].clone();
    schema["components"] = json!({"schemas": document["components"]["schemas"]});
    validator(&schema)
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value, of: &str) {
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{of}\n{}", errors.join("\n"));
}

/// By the official schema of AsyncAPI 3.0 documents.
#[test]
fn the_asyncapi_document_is_valid() {
    let official = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncapi/3.0.0.json"));
    let official = validator(&serde_json::from_str(&official.expect("the schema is there")).expect("JSON"));
    let document = asyncapi::document(&entries());
    assert_valid(&official, &document, "docs/events.asyncapi.json");

    for (place, value) in [
        ("/operations/tail/action", json!("shout")),
        ("/components/messages/Departed/payload", json!(7)),
        ("/components/schemas/Departed/properties/at/type", json!("moment")),
        ("/channels/events/messages", json!([])),
    ] {
        let mut other = document.clone();
        *other.pointer_mut(place).expect(place) = value;
        assert!(!official.is_valid(&other), "{place} may be anything");
    }
}

#[test]
fn whatever_the_document_refers_to_is_in_it() {
    fn check(document: &Value, value: &Value, count: &mut usize) {
        match value {
            Value::Object(members) => {
                if let Some(to) = members.get("$ref").and_then(Value::as_str) {
                    *count += 1;
                    assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to} is not in it");
                }
                members.values().for_each(|value| check(document, value, count));
            }
            Value::Array(values) => values.iter().for_each(|value| check(document, value, count)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let (document, mut count) = (asyncapi::document(&entries()), 0);
    check(&document, &document, &mut count);
    assert!(count > 200, "{count}");
}

/// Of every stored version, through the upcasters, as `export` and `tail` write it.
#[test]
fn the_line_of_every_golden_event_fits_its_message() {
    let document = asyncapi::document(&entries());
    for golden in GOLDEN {
        let example = document["components"]["messages"][golden.event_type]["examples"][0]["payload"].clone();
        let validator = of_message(&document, golden.event_type);
        assert_valid(&validator, &example, golden.event_type);

        let stored = stored(&example, golden.version, golden.payload);
        let (table, members) = schema::columns::row::newest(&stored).expect("it can be understood");
        let line = Shown { stored, table: Some(table), members, undecodable: None }.json();
        assert_valid(&validator, &line, golden.event_type);

        // Other events, and what is not understood, don't fit.
        let mut other = line.clone();
        other["event_type"] = "Other".into();
        assert!(!validator.is_valid(&other), "{} fits as another event", golden.event_type);
        let mut bare = line.clone();
        bare.as_object_mut().expect("an object").remove("position");
        assert!(!validator.is_valid(&bare), "{} fits without a position", golden.event_type);
        let mut undecodable = line;
        undecodable["undecodable"] = "it is of a newer version".into();
        assert!(!validator.is_valid(&undecodable), "{} fits, undecodable", golden.event_type);
        undecodable.as_object_mut().expect("an object").remove("actor_kind");
        assert_valid(&of_message(&document, "Undecodable"), &undecodable, "Undecodable");
    }
}

fn stored(example: &Value, version: &str, payload: &str) -> StoredEvent {
    let text = |name: &str| example[name].as_str().expect(name).to_owned();
    let id = |name: &str| text(name).parse::<Uuid>().expect(name);
    StoredEvent {
        position: schema::log::Position(example["position"].as_i64().expect("a number")),
        sequence: 1,
        generation: schema::log::Generation::FIRST,
        recorded_at: text("recorded_at").parse().expect("a time"),
        event_id: id("event_id"),
        partition_key: id("partition_key"),
        retention: 1,
        partition: 0,
        aggregate_type: text("aggregate_type"),
        aggregate_id: id("aggregate_id"),
        event_type: text("event_type"),
        event_version: version.to_owned(),
        payload: payload.to_owned(),
        metadata: metadata::to_json(&Envelope::new(TenantId::DEFAULT, Actor::system("test"))),
        payload_hash: id("payload_hash"),
    }
}

/// The folds, asked with an example, and the list of what a rebuild reads, say the same. For commands, which may be about
/// anything, a rebuild reads more.
#[test]
fn read_models_are_those_that_a_rebuild_reads_it_for() {
    for entry in entries() {
        let event = entry.event;
        let aggregate = AggregateType::parse(event.aggregate).expect("it is known");
        let asked = folded::models(event, Actor::operator(Uuid::from_u128(1)));
        for model in Model::ALL {
            let (read, folds) = (may_touch(model, aggregate, event.event_type), asked.contains(&model));
            assert!(read || !folds, "{}: a rebuild of {model:?} passes over it", event.event_type);
            assert!(folds || !read || model == Model::Commands, "{}: {model:?}", event.event_type);
        }
        assert_eq!(entry.read_models.len(), asked.len());
    }
}

#[test]
fn nothing_in_the_document_is_without_a_meaning() {
    let document = asyncapi::document(&entries());
    let described = |of: &Map<String, Value>, place: &str| {
        for (name, schema) in of {
            assert!(schema["description"].as_str().is_some_and(|says| !says.is_empty()), "{place}.{name}");
        }
    };
    let schemas = document["components"]["schemas"].as_object().expect("an object");
    described(schemas, "");
    for (name, schema) in schemas {
        described(schema["properties"].as_object().unwrap_or(&Map::new()), name);
    }
}
