//! Events as tables: the columns of each event type, for those who query the history (`analytics`, exports).
//!
//! The columns are derived from the types themselves. The golden file of an event says which members there are; what a
//! member may hold is found by trying: a column is a `uuid` only if the event refuses every other text there. So a new
//! event has its table as soon as it has its golden file.

mod derive;
mod envelope;
pub mod row;

use std::sync::OnceLock;

use domain::event::AggregateType;

pub use envelope::{ENVELOPE, EnvelopeColumn};
pub use row::Cell;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Text,
    Uuid,
    Timestamp,
    Date,
    Decimal,
    Integer,
    Double,
    Boolean,
    /// What has no type of its own: lists, and objects whose members are not known.
    Json,
    /// A personal value, sealed under the key of the person it belongs to.
    Sealed,
}

/// A column of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The names of the members that lead to it, joined by `_`; with `payload_` before it where the envelope has a column
    /// of this name.
    pub name: String,
    /// The members that lead to it, below the event's own.
    pub path: Vec<String>,
    pub column_type: ColumnType,
}

/// The table of an event type in its newest version.
#[derive(Debug, Clone)]
pub struct EventTable {
    /// The type's name in snake case, such as `session_priced`.
    pub name: String,
    pub aggregate: AggregateType,
    pub event_type: &'static str,
    pub event_version: &'static str,
    pub columns: Vec<Column>,
}

/// A table for every event type, in the order of the catalogue.
pub fn tables() -> &'static [EventTable] {
    static TABLES: OnceLock<Vec<EventTable>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let all = AggregateType::ALL.iter();
        all.flat_map(|aggregate| {
            aggregate.event_types().iter().map(|(name, version)| derive::table(*aggregate, name, version))
        })
        .collect()
    })
}

pub fn table(event_type: &str) -> Option<&'static EventTable> {
    tables().iter().find(|table| table.event_type == event_type)
}

/// `SessionPriced` as `session_priced`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 8);
    for (index, character) in name.char_indices() {
        if character.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn columns(event_type: &str) -> Vec<(String, ColumnType)> {
        let columns = &table(event_type).expect("it is in the catalogue").columns;
        columns.iter().map(|column| (column.name.clone(), column.column_type)).collect()
    }

    #[test]
    fn types_are_those_that_the_event_takes() {
        let expected = [
            ("meter_stop_wh", ColumnType::Decimal),
            ("received_at", ColumnType::Timestamp),
            ("seq_no", ColumnType::Integer),
            ("stop_reason", ColumnType::Text),
            ("token_id", ColumnType::Uuid),
            ("flags", ColumnType::Json),
        ];
        let found = columns("TransactionEnded");
        for (name, column_type) in expected {
            let name = if name == "received_at" { "payload_received_at" } else { name };
            assert!(found.contains(&(name.to_owned(), column_type)), "{name} {column_type:?}: {found:?}");
        }
        // "17" looks like a number, and need not be one.
        assert!(columns("TransactionStarted").contains(&("transaction_id".to_owned(), ColumnType::Text)));
        assert!(columns("TransactionStarted").contains(&("offline".to_owned(), ColumnType::Boolean)));
        assert!(columns("TransactionStarted").contains(&("limits_cost".to_owned(), ColumnType::Decimal)));
        assert!(columns("SiteChanged").contains(&("coordinates_latitude".to_owned(), ColumnType::Double)));
        assert!(columns("TokenRegistered").contains(&("value".to_owned(), ColumnType::Sealed)));
        assert!(columns("StationCommandRequested").contains(&("action".to_owned(), ColumnType::Json)));
        assert!(columns("StationCommandAccepted").contains(&("answer".to_owned(), ColumnType::Json)));
        assert_eq!(columns("StationCommandDone"), []);
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = tables().iter().map(|table| &table.name).collect();
        assert_eq!(names.len(), tables().len(), "two events have the same name");
        for table in tables() {
            let envelope = ENVELOPE.iter().map(|column| column.name);
            let all: Vec<_> = envelope.chain(table.columns.iter().map(|column| column.name.as_str())).collect();
            let unique: BTreeSet<_> = all.iter().collect();
            assert_eq!(unique.len(), all.len(), "{}: {all:?}", table.name);
            assert!(all.iter().all(|name| name.len() < 64), "Postgres cuts names at 63 bytes: {all:?}");
        }
    }
}
