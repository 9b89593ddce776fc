//! What stands around every event, as columns.

use super::ColumnType;

#[derive(Debug, Clone, Copy)]
pub struct EnvelopeColumn {
    pub name: &'static str,
    pub column_type: ColumnType,
    /// For those who look at the column.
    pub says: &'static str,
}

const fn column(name: &'static str, column_type: ColumnType, says: &'static str) -> EnvelopeColumn {
    EnvelopeColumn { name, column_type, says }
}

use ColumnType::{Integer, Text, Timestamp, Uuid};

/// The columns that every event has before its own.
pub const ENVELOPE: &[EnvelopeColumn] = &[
    column("position", Integer, "Place in the log: dense, from 1, in the order of commits"),
    column("recorded_at", Timestamp, "When it was committed; never goes back as positions rise"),
    column("generation", Integer, "Generation of the log that the position belongs to"),
    column("event_id", Uuid, "Id of the event"),
    column("event_type", Text, "Type of the event"),
    column("event_version", Text, "Version in which it was stored"),
    column("payload_hash", Uuid, "The first 16 bytes of the SHA-256 of the payload as it was stored"),
    column("aggregate_type", Text, "Kind of thing whose history it is part of"),
    column("aggregate_id", Uuid, "Id of the thing whose history it is part of: its stream"),
    column("sequence", Integer, "Number in its stream, from 1"),
    column("tenant_id", Uuid, "The network it belongs to"),
    column("partition_key", Uuid, "The charge point, account or token by whose events order is kept"),
    column("partition", Integer, "Partition of the log, 0 to 63: a hash of the partition key"),
    column("retention", Text, "How long it is kept: ledger, operational or telemetry"),
    column("actor_kind", Text, "Who did it: driver, operator, charger, system or partner"),
    column("actor_id", Text, "Id of the actor; of the system, the name of the part that acted"),
    column("actor_reason", Text, "Why, in the actor's words"),
    column("causation_id", Uuid, "The command or event that it follows from"),
    column("correlation_id", Uuid, "The affair it is part of: a session, or the command that began it"),
    column("trace_id", Text, "W3C trace id"),
    column("received_at", Timestamp, "When the charger's report arrived, where it is one"),
    column("occurred_at", Timestamp, "When it happened, as far as can be told"),
    column("occurred_source", Text, "Where occurred_at comes from"),
    column("device_at", Text, "The charger's own time, as it wrote it"),
];
