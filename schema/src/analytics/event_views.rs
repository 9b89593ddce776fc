//! A view on all events, and one for each event type.

use super::View;
use super::says;
use crate::columns::{Column, ColumnType, ENVELOPE, EventTable, tables};
use crate::golden;

/// Made once for each row: members are taken from it, not from the text.
const METADATA: &str = "CROSS JOIN LATERAL (SELECT analytics.clean(e.metadata) AS m OFFSET 0) metadata";

pub fn all() -> Vec<View> {
    let mut views = vec![every_event()];
    views.extend(tables().iter().map(of_type));
    views
}

fn every_event() -> View {
    let definition = format!("SELECT {},\n    e.payload\nFROM public.events e\n{METADATA}", envelope());
    let mut columns = envelope_comments();
    columns.push(("payload".to_owned(), "The event as it is stored, under the name of its type".to_owned()));
    let says = "Every event that the log has, in the order of commits: those in detached ranges (analytics.archives) are in \
                no view. Each type has a view of its own, with its members as columns.";
    View { name: "events".to_owned(), definition, says: says.to_owned(), columns }
}

fn of_type(table: &EventTable) -> View {
    let EventTable { name, aggregate, event_type, event_version, columns } = table;
    let has_older = golden::versions(event_type) > 1;
    let own = columns.iter().map(|column| {
        let value = value(column);
        // An older version may hold something else under the same name: of those, the payload tells.
        let value =
            if has_older { format!("CASE WHEN e.event_version = '{event_version}' THEN {value} END") } else { value };
        format!(",\n    {value} AS \"{}\"", column.name)
    });
    let definition = format!(
        "SELECT {}{},\n    e.payload AS stored_payload\nFROM public.events e\n{METADATA}\nCROSS JOIN LATERAL (SELECT \
         analytics.clean(e.payload -> '{event_type}') AS p OFFSET 0) members\nWHERE e.aggregate_type = '{}' AND \
         e.event_type = '{event_type}'",
        envelope(),
        own.collect::<String>(),
        aggregate.as_str(),
    );
    let mut comments = envelope_comments();
    comments.extend(columns.iter().map(|column| (column.name.clone(), says::column(column))));
    comments.push(("stored_payload".to_owned(), "The event as it is stored, under the name of its type".to_owned()));
    View { name: name.clone(), definition, says: says::event(table), columns: comments }
}

/// The columns of every event: those of its row, and those of its metadata.
fn envelope() -> String {
    let of = |name: &str| match name {
        "position" | "recorded_at" | "generation" | "event_id" | "event_type" | "event_version" | "aggregate_type"
        | "sequence" | "partition_key" | "payload_hash" => format!("e.{name}"),
        "partition" => "e.partition::bigint".to_owned(),
        "aggregate_id" => "e.aggregate_id::uuid".to_owned(),
        "retention" => {
            "CASE e.retention WHEN 1 THEN 'ledger' WHEN 2 THEN 'operational' WHEN 3 THEN 'telemetry' END".to_owned()
        }
        "actor_reason" => "m ->> 'reason'".to_owned(),
        other => format!("m ->> '{other}'"),
    };
    let columns = ENVELOPE.iter().map(|column| {
        let value = of(column.name);
        let value = match (value.starts_with('m'), column.column_type) {
            (true, ColumnType::Uuid) => format!("({value})::uuid"),
            (true, ColumnType::Timestamp) => format!("analytics.moment({value})"),
            _ => value,
        };
        format!("{value} AS \"{}\"", column.name)
    });
    columns.collect::<Vec<_>>().join(",\n    ")
}

fn envelope_comments() -> Vec<(String, String)> {
    ENVELOPE.iter().map(|column| (column.name.to_owned(), column.says.to_owned())).collect()
}

fn value(column: &Column) -> String {
    let path = column.path.join(",");
    let text = format!("p #>> '{{{path}}}'");
    match column.column_type {
        ColumnType::Text | ColumnType::Sealed => text,
        ColumnType::Uuid => format!("({text})::uuid"),
        ColumnType::Timestamp => format!("analytics.moment({text})"),
        ColumnType::Date => format!("({text})::date"),
        ColumnType::Decimal => format!("({text})::numeric"),
        ColumnType::Integer => format!("({text})::bigint"),
        ColumnType::Double => format!("({text})::double precision"),
        ColumnType::Boolean => format!("({text})::boolean"),
        ColumnType::Json => format!("nullif(p #> '{{{path}}}', 'null'::jsonb)"),
    }
}
