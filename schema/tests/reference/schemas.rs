//! The JSON schemas of events say what the program reads and writes: tried with every member of every sample left out,
//! empty, and of another type.

use domain::event::{AggregateType, Event};
use jsonschema::Validator;
use schema::reference::{EventReference, events, json_schema, meanings};
use serde_json::{Map, Value, json};

/// The schema of an event's members, without room for others.
fn strict(event: &EventReference) -> Validator {
    let place = "#/definitions/";
    let parts = meanings().parts.iter();
    let parts: Map<_, _> = parts.map(|(name, part)| (name.clone(), json_schema::part(part, place))).collect();
    let mut schema = json_schema::object(event.says, event.members, place);
    schema["definitions"] = parts.into();
    close(&mut schema);
    jsonschema::draft7::options().should_validate_formats(true).build(&schema).expect("a schema")
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The members as they are written again; none where they can't be read.
fn written(event: &EventReference, members: &Value) -> Option<Value> {
    let aggregate = AggregateType::parse(event.aggregate).expect("it is known");
    let read = Event::from_value(aggregate, json!({event.event_type: members})).ok()?;
    let mut again: Value = serde_json::from_str(&read.to_json()).expect("JSON");
    Some(again[event.event_type].take())
}

/// Pointers to everything in it.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    for (name, value) in below {
        let place = format!("{place}/{name}");
        places(value, &place, found);
        found.push(place);
    }
}

fn is_sealed(event: &EventReference, place: &str) -> bool {
    event.members.iter().any(|member| member.sealed && place.strip_prefix('/') == Some(&member.name))
}

fn without(members: &Value, place: &str) -> Option<Value> {
    let (parent, name) = place.rsplit_once('/').expect("a pointer");
    let mut other = members.clone();
    other.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(other)
}

fn with(members: &Value, place: &str, value: Value) -> Value {
    let mut other = members.clone();
    *other.pointer_mut(place).expect("it is there") = value;
    other
}

#[test]
fn a_schema_takes_what_is_written_and_refuses_what_can_t_be_read() {
    let (mut tried, mut refused) = (0, 0);
    for event in events() {
        let schema = strict(event);
        let event_type = event.event_type;
        if let Err(error) = schema.validate(&event.example) {
            panic!("{event_type}: the sample does not fit: {error} at {}", error.instance_path());
        }
        let mut all = vec![];
        places(&event.example, "", &mut all);
        for place in all {
            let others = [
                without(&event.example, &place),
                Some(with(&event.example, &place, Value::Null)),
                Some(with(&event.example, &place, json!({"no member": 1}))),
                Some(with(&event.example, &place, json!([[]]))),
            ];
            for other in others.into_iter().flatten() {
                tried += 1;
                match written(event, &other) {
                    Some(written) => {
                        if let Err(error) = schema.validate(&written) {
                            panic!("{event_type}{place}: {written} is written, and does not fit: {error}");
                        }
                    }
                    // What was erased is null where sealed values are opened: that is not read again.
                    None if is_sealed(event, &place) && other.pointer(&place) == Some(&Value::Null) => {}
                    None => {
                        refused += 1;
                        assert!(!schema.is_valid(&other), "{event_type}{place}: {other} fits, and can't be read");
                    }
                }
            }
        }
    }
    assert!(tried > 1000 && refused > 500, "{tried} {refused}");
}
