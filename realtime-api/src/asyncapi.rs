//! The document of `/ws` (AsyncAPI 3.0), from the types of its messages. Their schemas are those of `/openapi.json`.

use serde_json::{Map, Value, json};

use crate::query::openapi::openapi;
use crate::socket::Close;

/// What is answered directly to each action, with its `id`. Everything else that the server says comes by itself.
const ANSWERS: [(&str, &[&str]); 6] = [
    ("auth", &["authenticated", "error"]),
    ("subscribe", &["snapshot", "resumed", "error"]),
    ("unsubscribe", &["unsubscribed", "error"]),
    ("start_charging", &["accepted", "error"]),
    ("stop_charging", &["accepted", "error"]),
    ("ping", &["pong"]),
];

/// Topics, what is in them, and who may follow them.
const TOPICS: [(&str, &str, &str); 5] = [
    ("charger:{id}", "the public face of a charger", "all"),
    ("session:{id}", "a session", "its driver, operators"),
    ("me", "the caller's open sessions and unsettled commands", "all"),
    ("station:{id}", "a charger, its open sessions, its unsettled commands", "operators"),
    ("fleet", "every charger of the tenant, every open session, every unsettled command", "operators"),
];

const SCHEMAS: &str = "#/components/schemas/";

/// What the socket understands and says.
pub fn asyncapi() -> Value {
    let document = serde_json::to_value(openapi()).expect("documents have string keys");
    let all = &document["components"]["schemas"];
    let heard = messages(all, "ClientAction", "action");
    let said = messages(all, "ServerMessage", "type");
    let mut schemas = Map::new();
    collect(all, &Value::Object(heard.clone()), &mut schemas);
    collect(all, &Value::Object(said.clone()), &mut schemas);

    let of_channel = |name: &String| refer(&format!("#/channels/socket/messages/{name}"));
    let mut operations: Map<_, _> = heard.keys().map(|name| (name.clone(), receives(name))).collect();
    let tells: Vec<_> = said.keys().map(of_channel).collect();
    operations.insert(
        "tell".to_owned(),
        json!({
            "action": "send",
            "summary": "Resources as they change, and the answers to what the client says.",
            "channel": refer("#/channels/socket"),
            "messages": tells,
        }),
    );
    let messages: Map<_, _> = heard.into_iter().chain(said).collect();
    let in_channel: Map<_, _> =
        messages.keys().map(|name| (name.clone(), refer(&format!("#/components/messages/{name}")))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Coulomb: live",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Resources as they change, over a WebSocket of text frames, each a JSON object.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"socket": {
            "address": "/ws",
            "description": "The access token comes in the header Authorization, as one of the subprotocols \
                `coulomb, bearer.<token>`, or in the first message. What can be followed is in x-topics, why the server \
                closes a socket in x-close-codes.",
            "messages": in_channel,
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            "x-topics": TOPICS.map(|(topic, holds, followers)| json!({"topic": topic, "holds": holds, "for": followers})),
            "x-close-codes": Close::ALL.map(close_code),
        }},
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {"access_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

/// A message for each variant of an enum of messages, by what its tag says.
fn messages(schemas: &Value, name: &str, tag: &str) -> Map<String, Value> {
    let variants = schemas[name]["oneOf"].as_array().into_iter().flatten();
    variants
        .filter_map(|variant| {
            let word = word(variant, tag)?;
            let mut message = json!({"name": word, "payload": {"allOf": [variant]}});
            if let Some(summary) = variant.get("description") {
                message["summary"] = summary.clone();
            }
            let asks = tag == "action";
            if asks || ANSWERS.iter().any(|(_, answers)| answers.contains(&word)) {
                let id =
                    if asks { "Any value; the direct answer repeats it." } else { "Of the message that this answers." };
                let with_id = json!({"type": "object", "properties": {"id": {"description": id}}});
                message["payload"]["allOf"] = json!([variant, with_id]);
            }
            Some((word.to_owned(), message))
        })
        .collect()
}

/// The one word that the tag has in a variant, which may be made of parts.
fn word<'v>(variant: &'v Value, tag: &str) -> Option<&'v str> {
    let own = variant["properties"][tag]["enum"][0].as_str();
    own.or_else(|| variant["allOf"].as_array()?.iter().find_map(|part| word(part, tag)))
}

fn receives(action: &str) -> Value {
    let answers = ANSWERS.iter().find(|(asked, _)| *asked == action).map_or(&[][..], |(_, answers)| answers);
    let message = |name: &str| refer(&format!("#/channels/socket/messages/{name}"));
    json!({
        "action": "receive",
        "channel": refer("#/channels/socket"),
        "messages": [message(action)],
        "security": [refer("#/components/securitySchemes/access_token")],
        "reply": {
            "channel": refer("#/channels/socket"),
            "messages": answers.iter().map(|name| message(name)).collect::<Vec<_>>(),
        },
    })
}

fn close_code(close: Close) -> Value {
    let reason = match close {
        Close::GoingAway(_) | Close::HistoryReplaced(_) => "reconnect_after_ms=<n>".to_owned(),
        other => other.reason(),
    };
    json!({"code": close.code(), "name": close.label(), "reason": reason})
}

/// Puts in the schemas that something refers to, and those to which they refer.
fn collect(all: &Value, from: &Value, found: &mut Map<String, Value>) {
    match from {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(SCHEMAS));
            if let Some((name, schema)) = name.and_then(|name| Some((name, all.get(name)?)))
                && !found.contains_key(name)
            {
                found.insert(name.to_owned(), schema.clone());
                collect(all, schema, found);
            }
            members.values().for_each(|value| collect(all, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(all, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn refer(to: &str) -> Value {
    json!({"$ref": to})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::hub::TopicName;
    use crate::socket::read;

    fn references<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                into.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, into));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document = asyncapi();
        let mut found = vec![];
        references(&document, &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference} is missing");
        }
        for schema in ["Charger", "Session", "Command", "ResourceSet", "Problem", "Accepted", "StartCharging"] {
            assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
        }
    }

    #[test]
    fn every_message_of_the_socket_is_in_it() {
        let document = asyncapi();
        let all = serde_json::to_value(openapi()).expect("JSON");
        let variants = |name: &str| all["components"]["schemas"][name]["oneOf"].as_array().expect("variants").len();
        let messages = document["components"]["messages"].as_object().expect("messages");
        assert_eq!(messages.len(), variants("ClientAction") + variants("ServerMessage"));
        let expected = BTreeSet::from([
            "auth",
            "subscribe",
            "unsubscribe",
            "start_charging",
            "stop_charging",
            "ping",
            "authenticated",
            "snapshot",
            "update",
            "session_started",
            "session_updated",
            "session_stopped",
            "session_failed",
            "command_changed",
            "resumed",
            "live",
            "unsubscribed",
            "accepted",
            "error",
            "pong",
        ]);
        assert_eq!(messages.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        for (name, message) in messages {
            assert!(message["summary"].is_string(), "{name} says nothing");
        }
    }

    #[test]
    fn every_action_is_understood_and_has_an_answer() {
        let document = asyncapi();
        let operations = document["operations"].as_object().expect("operations");
        let actions: BTreeSet<_> = operations.keys().map(String::as_str).filter(|name| *name != "tell").collect();
        assert_eq!(actions, ANSWERS.map(|(action, _)| action).into());
        for action in actions {
            let members = Map::from_iter([("action".to_owned(), action.into())]);
            if let Err(problem) = read(members) {
                let problem = serde_json::to_value(problem).expect("JSON");
                assert_ne!(problem["field"], "action", "{action} is not understood");
            }
        }
    }

    #[test]
    fn topics_are_those_that_are_understood() {
        for (topic, _, _) in TOPICS {
            assert!(TopicName::parse(topic).is_some(), "{topic}");
        }
    }
}
