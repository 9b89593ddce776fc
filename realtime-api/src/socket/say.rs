//! What the server says, as JSON. Resources are put in as they are, already encoded.

use std::sync::Arc;

use application::command::Accepted;
use bytes::{BufMut, Bytes};
use chrono::{DateTime, Utc};
use schema::api::query::Timestamp;
use schema::api::socket::Authenticated;
use schema::log::{Generation, Position};
use serde::Serialize;
use serde_json::Value;
use service_host::Problem;

use crate::hub::{ResourceKey, Topic, Update, Viewer};

/// A direct answer repeats the `id` of what it answers.
#[derive(Serialize)]
struct Message<'m, D> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'m Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upto: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

impl<'m, D: Serialize> Message<'m, D> {
    fn new(kind: &'static str, id: Option<&'m Value>) -> Self {
        Self { kind, id, topic: None, upto: None, generation: None, server_time: None, data: None }
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("messages have string keys and finite numbers")
    }
}

pub fn authenticated(id: Option<&Value>, generation: Generation, data: Authenticated) -> Vec<u8> {
    Message { generation: Some(generation), data: Some(data), ..Message::new("authenticated", id) }.json()
}

pub fn error(id: Option<&Value>, problem: &Problem) -> Vec<u8> {
    Message { data: Some(problem), ..Message::new("error", id) }.json()
}

/// The answer to a `subscribe` that begins nothing: it says of which topic nothing comes.
pub fn not_followed(id: Option<&Value>, topic: &str, problem: &Problem) -> Vec<u8> {
    Message { topic: Some(topic), data: Some(problem), ..Message::new("error", id) }.json()
}

pub fn accepted(id: Option<&Value>, accepted: &Accepted) -> Vec<u8> {
    Message { data: Some(accepted), ..Message::new("accepted", id) }.json()
}

pub fn unsubscribed(id: Option<&Value>, topic: &str) -> Vec<u8> {
    Message::<()> { topic: Some(topic), ..Message::new("unsubscribed", id) }.json()
}

pub fn pong(id: Option<&Value>, upto: Position, now: DateTime<Utc>) -> Vec<u8> {
    Message::<()> { upto: Some(upto), server_time: Some(now.into()), ..Message::new("pong", id) }.json()
}

pub fn resumed(id: Option<&Value>, topic: &str, generation: Generation) -> Vec<u8> {
    Message::<()> { topic: Some(topic), generation: Some(generation), ..Message::new("resumed", id) }.json()
}

pub fn live(topic: &str, upto: Position, generation: Generation) -> Vec<u8> {
    let message = Message::<()> { upto: Some(upto), topic: Some(topic), ..Message::new("live", None) };
    Message { generation: Some(generation), ..message }.json()
}

/// Of a topic that is one resource, that; of a set, its members by their kinds.
pub fn snapshot(
    id: Option<&Value>,
    (name, topic): (&str, Topic),
    upto: Position,
    generation: Generation,
    members: &[Arc<Update>],
    viewer: Viewer,
) -> Vec<u8> {
    let head = Message::<()> { topic: Some(name), upto: Some(upto), ..Message::new("snapshot", id) };
    let mut text = Message { generation: Some(generation), ..head }.json();
    // The object goes on with its data.
    text.pop();
    text.extend_from_slice(b",\"data\":");
    if topic.is_set() {
        text.push(b'{');
        if !matches!(topic, Topic::Me(_)) {
            list(&mut text, "chargers", members, viewer, |key| matches!(key, ResourceKey::Charger(_)));
            text.push(b',');
        }
        list(&mut text, "sessions", members, viewer, |key| matches!(key, ResourceKey::Session(_)));
        text.push(b',');
        list(&mut text, "commands", members, viewer, |key| matches!(key, ResourceKey::Command(_)));
        text.push(b'}');
    } else {
        match members.first() {
            Some(resource) => text.extend_from_slice(&resource.body(viewer)),
            None => text.extend_from_slice(b"null"),
        }
    }
    text.push(b'}');
    text
}

fn list(text: &mut Vec<u8>, name: &str, members: &[Arc<Update>], viewer: Viewer, of: impl Fn(ResourceKey) -> bool) {
    text.put_u8(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":[");
    for (n, member) in members.iter().filter(|member| of(member.key)).enumerate() {
        if n > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&member.body(viewer));
    }
    text.push(b']');
}

/// A resource in its newest state: what stands before it, and it. After it comes [`CHANGE_END`].
pub fn change((name, topic): (&str, Topic), update: &Update, upto: Position, viewer: Viewer) -> (Vec<u8>, Bytes) {
    #[derive(Serialize)]
    struct Head<'m> {
        #[serde(rename = "type")]
        kind: &'static str,
        topic: &'m str,
        key: &'m str,
        position: Position,
        upto: Position,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        removed: bool,
    }
    let head = Head {
        kind: update.kind.as_str(),
        topic: name,
        key: &update.key_text,
        position: update.position,
        upto,
        removed: update.has_left(topic),
    };
    let mut before = serde_json::to_vec(&head).expect("texts and numbers");
    before.pop();
    before.extend_from_slice(b",\"data\":");
    (before, update.body(viewer))
}

pub const CHANGE_END: &[u8] = b"}";
