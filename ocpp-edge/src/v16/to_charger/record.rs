//! What is kept of a charger's answer.

use serde_json::{Map, Value, json};

use super::Command;
use crate::json::Node;

/// A larger answer is not kept: it belongs into no event.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Parts of the names of configuration keys whose values are secrets: no secret is ever in an event. `AuthorizationKey` is
/// write-only by the specification, and shown by some all the same.
const SECRET_KEYS: [&str; 7] = ["authorizationkey", "password", "passwd", "secret", "psk", "privatekey", "token"];
const HIDDEN: &str = "(hidden)";

/// The answer as it goes into the log.
pub fn record(command: &Command, payload: Node<'_>) -> Value {
    let raw = payload.raw().get();
    if raw.len() > ANSWER_BYTES_MAX {
        return json!({ "omitted_bytes": raw.len() });
    }
    let Ok(mut answer) = serde_json::from_str(raw) else {
        // Nested too deeply for a tree.
        return json!({ "omitted_bytes": raw.len() });
    };
    if matches!(command, Command::GetConfiguration(_)) {
        hide_secrets(&mut answer);
    }
    answer
}

fn hide_secrets(answer: &mut Value) {
    let entries =
        answer.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut).flatten();
    for entry in entries.filter_map(Value::as_object_mut) {
        let named = |name: &str| entry.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
        let (Some(key), Some(value)) = (named("key"), named("value")) else { continue };
        let key = entry[&key].as_str().unwrap_or_default().to_lowercase();
        if SECRET_KEYS.iter().any(|secret| key.contains(secret)) {
            entry.insert(value, HIDDEN.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClearCache, GetConfiguration};
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let answer = r#"{"configurationKey":[{"key":"AuthorizationKey","readonly":false,"value":"s3cret"},
            {"Key":"WifiPassword","Value":"s3cret"},{"key":"HeartbeatInterval","value":"300"},{"key":"Psk"}],"unknownKey":["X"]}"#;
        let command = Command::GetConfiguration(GetConfiguration::default());
        let kept = record(&command, Node::parse(answer).unwrap());
        assert!(!kept.to_string().contains("s3cret"), "{kept}");
        assert_eq!(kept["configurationKey"][2], json!({"key": "HeartbeatInterval", "value": "300"}));
        assert_eq!(kept["unknownKey"], json!(["X"]));
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_left_out() {
        let command = Command::ClearCache(ClearCache {});
        let large = format!("{{\"status\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX));
        assert_eq!(record(&command, Node::parse(&large).unwrap()), json!({ "omitted_bytes": large.len() }));
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(record(&command, Node::parse(&deep).unwrap()), json!({ "omitted_bytes": 2000 }));
    }
}
