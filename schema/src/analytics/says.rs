//! What is said of views and columns to those who look at them with `\d+`.

use crate::columns::{Column, ColumnType, EventTable};

pub fn event(table: &EventTable) -> String {
    let EventTable { event_type, event_version, aggregate, .. } = table;
    let kind = aggregate.as_str();
    format!("Events {event_type} of {kind}; columns are those of version {event_version}.")
}

pub fn column(column: &Column) -> String {
    let name = column.path.last().map_or("", String::as_str);
    let place = column.path.join(".");
    let unit = [
        ("_wh", "in Wh"),
        ("_w", "in W"),
        ("_s", "in seconds"),
        ("_percent", "in percent"),
        ("_at", "a moment"),
        ("_id", "an id"),
    ];
    let unit = unit.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, unit)| format!(", {unit}"));
    let kind = match column.column_type {
        ColumnType::Json => ", as JSON",
        ColumnType::Sealed => ", sealed under its person's key",
        ColumnType::Text
        | ColumnType::Uuid
        | ColumnType::Timestamp
        | ColumnType::Date
        | ColumnType::Decimal
        | ColumnType::Integer
        | ColumnType::Double
        | ColumnType::Boolean => "",
    };
    format!("Member {place} of the event{}{kind}", unit.unwrap_or_default())
}
