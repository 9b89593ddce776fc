//! What stands around an event where it is written as a line of JSON.

use chrono::{DateTime, Utc};
use domain::envelope::{Actor, ActorKind, Envelope, ReportTimes, Retention, TimeSource};
use domain::id::TenantId;
use schema::columns::{self, ColumnType, ENVELOPE};
use schema::digest::payload_hash;
use schema::log::{Generation, Position};
use schema::metadata;
use schema::partition::partition;
use schema::reference::{EventReference, PartitionKey};
use schema::stored::StoredEvent;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::events::line::Shown;

/// The members of the envelope, with what is said of them.
pub fn members() -> Value {
    let always = always(&bare());
    let member = |column: &columns::EnvelopeColumn| {
        json!({
            "name": column.name,
            "type": column_type(column.column_type),
            "always": always.contains(&column.name),
            "says": column.says,
        })
    };
    ENVELOPE.iter().map(member).collect()
}

pub fn column_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text | ColumnType::Sealed => "text",
        ColumnType::Uuid => "UUID",
        ColumnType::Timestamp => "time",
        ColumnType::Date => "date",
        ColumnType::Decimal => "decimal",
        ColumnType::Integer => "integer",
        ColumnType::Double => "number",
        ColumnType::Boolean => "boolean",
        ColumnType::Json => "JSON",
    }
}

/// The JSON schema of the envelope.
pub fn schema() -> Value {
    let of = |column: &columns::EnvelopeColumn| {
        let mut schema = match column.column_type {
            ColumnType::Uuid => json!({"type": "string", "format": "uuid"}),
            ColumnType::Timestamp => json!({"type": "string", "format": "date-time"}),
            ColumnType::Date => json!({"type": "string", "format": "date"}),
            ColumnType::Text | ColumnType::Sealed | ColumnType::Decimal => json!({"type": "string"}),
            ColumnType::Integer => json!({"type": "integer", "minimum": 0}),
            ColumnType::Double => json!({"type": "number"}),
            ColumnType::Boolean => json!({"type": "boolean"}),
            ColumnType::Json => json!({}),
        };
        schema["description"] = column.says.into();
        (column.name.to_owned(), schema)
    };
    let properties: Map<_, _> = ENVELOPE.iter().map(of).collect();
    json!({
        "type": "object",
        "description": "What stands around every event. What is not known is absent.",
        "required": always(""),
        "properties": properties,
    })
}

/// Of a message that was understood, what the envelope has beside what is required of all.
pub fn required_if_understood() -> Vec<&'static str> {
    let of_all = always("");
    always(&bare()).into_iter().filter(|name| !of_all.contains(name)).collect()
}

/// The metadata of an envelope that says as little as may be.
fn bare() -> String {
    metadata::to_json(&Envelope::new(TenantId::DEFAULT, Actor::system("")))
}

/// The members that are there with this metadata, which may be none that can be read.
fn always(metadata: &str) -> Vec<&'static str> {
    let stored = stored("", "", "{}", Uuid::nil(), PartitionKey::Stream, metadata.to_owned());
    let cells = columns::row::envelope(&stored);
    let there = ENVELOPE.iter().zip(&cells).filter(|(_, cell)| **cell != columns::Cell::Null);
    there.map(|(column, _)| column.name).collect()
}

/// The event's example as a line, everything in it filled.
pub fn example(event: &EventReference) -> Value {
    let reported_at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
    let charge_point = Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0005);
    let envelope = Envelope {
        tenant_id: TenantId::DEFAULT,
        actor: Actor { kind: ActorKind::Charger, id: charge_point.to_string() },
        reason: Some("why, in the actor's words".to_owned()),
        causation_id: Some(Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0009)),
        correlation_id: Some(Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0008)),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        times: Some(ReportTimes {
            received_at: reported_at("2024-05-01T10:05:01.200Z"),
            device_at: Some("2024-05-01T12:05:00".to_owned()),
            occurred_at: Some(reported_at("2024-05-01T10:05:00Z")),
            source: TimeSource::DeviceCorrected,
        }),
    };
    let payload = json!({event.event_type: event.example}).to_string();
    let metadata = metadata::to_json(&envelope);
    let mut stored = stored(event.aggregate, event.event_type, &payload, charge_point, event.partition_key, metadata);
    stored.event_version = event.version.to_owned();
    stored.retention = event.retention.first().and_then(|kept| code(kept.class)).unwrap_or_default();
    let table = columns::table(event.event_type);
    Shown { stored, table, members: event.example.clone(), undecodable: None }.json()
}

fn code(class: &str) -> Option<i16> {
    Retention::ALL.into_iter().find(|retention| retention.as_str() == class).map(Retention::code)
}

fn stored(
    aggregate: &str,
    event_type: &str,
    payload: &str,
    charge_point: Uuid,
    by: PartitionKey,
    metadata: String,
) -> StoredEvent {
    let stream = match (aggregate, by) {
        ("ChargePoint", _) => charge_point,
        _ => Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0008),
    };
    let partition_key = match by {
        PartitionKey::Stream => stream,
        PartitionKey::ChargePoint | PartitionKey::ParkedKey => charge_point,
    };
    StoredEvent {
        position: Position(1234),
        sequence: 5,
        generation: Generation::FIRST,
        recorded_at: "2024-05-01T10:05:01.234567Z".parse().expect("a time"),
        event_id: Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0063),
        partition_key,
        retention: Retention::Operational.code(),
        partition: partition(partition_key).number(),
        aggregate_type: aggregate.to_owned(),
        aggregate_id: stream,
        event_type: event_type.to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_owned(),
        metadata,
        payload_hash: payload_hash(payload),
    }
}
