//! Which read models an event changes.

use std::sync::Arc;

use chrono::DateTime;
use domain::envelope::{Actor, Envelope};
use domain::event::{AggregateType, Event};
use domain::id::TenantId;
use read_models::{Fact, touched};
use schema::log::{Generation, Position, RecordedEvent, StreamId};
use schema::partition::partition;
use schema::reference::EventReference;
use schema::view::Model;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// The name of its table.
    pub model: &'static str,
    /// Only when a driver or an operator asked for what the event tells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_people_only: bool,
}

/// The folds are asked, with the event's example.
pub fn folded(event: &EventReference) -> Vec<Folded> {
    let by_itself = models(event, Actor::system("example"));
    let asked_for = models(event, Actor::operator(Uuid::from_u128(1)));
    let of = |model: Model| Folded { model: model.name(), of_people_only: !by_itself.contains(&model) };
    asked_for.into_iter().map(of).collect()
}

pub fn models(event: &EventReference, actor: Actor) -> Vec<Model> {
    let aggregate = AggregateType::parse(event.aggregate).unwrap_or(AggregateType::Unknown);
    let example = Event::from_value(aggregate, json!({event.event_type: event.example}));
    // That it can be read is tested with the golden files.
    let Ok(example) = example.map(Arc::new) else { return vec![] };
    let id = Uuid::from_u128(1);
    let recorded = RecordedEvent {
        position: Position(1),
        generation: Generation::FIRST,
        partition: partition(id),
        partition_key: id,
        stream: StreamId { aggregate, id },
        sequence: 1,
        event_id: id,
        event_type: event.event_type.to_owned(),
        event_version: event.version.to_owned(),
        retention: example.retention(),
        recorded_at: DateTime::UNIX_EPOCH,
        envelope: Arc::new(Envelope::new(TenantId::DEFAULT, actor).caused_by(id)),
        payload_hash: id,
        event: Ok(Arc::clone(&example)),
    };
    touched(&Fact { recorded: &recorded, event: &example }).map(|touch| touch.model).collect()
}
