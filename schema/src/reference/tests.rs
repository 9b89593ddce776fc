use std::collections::BTreeSet;

use super::*;
use crate::columns::{ColumnType, tables};
use crate::upcast::Step;

#[test]
fn every_event_is_in_it() {
    let named: BTreeSet<_> = events().iter().map(|event| (event.aggregate, event.event_type, event.version)).collect();
    let all = AggregateType::ALL.iter().flat_map(|aggregate| {
        aggregate.event_types().iter().map(|(event_type, version)| (aggregate.as_str(), *event_type, *version))
    });
    assert_eq!(named, all.collect());
}

/// Schemas of events and of their parts stand side by side.
#[test]
fn no_part_has_the_name_of_an_event() {
    let same = meanings().parts.keys().filter(|part| meanings().events.contains_key(*part));
    assert_eq!(same.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What is sealed by its type is what exports seal by its value.
#[test]
fn sealed_members_are_the_sealed_columns() {
    for table in tables() {
        let of_columns = table.columns.iter().filter(|column| column.column_type == ColumnType::Sealed);
        let of_columns: BTreeSet<_> = of_columns.map(|column| column.path[0].as_str()).collect();
        let event = events().iter().find(|event| event.event_type == table.event_type).expect("it is in it");
        let said = event.members.iter().filter(|member| member.sealed).map(|member| member.name.as_str());
        assert_eq!(said.collect::<BTreeSet<_>>(), of_columns, "{}", table.event_type);
    }
    let parts = meanings().parts.values().flat_map(|part| &part.members);
    assert!(!parts.into_iter().any(|member| member.sealed), "exports seal direct members alone");
}

#[test]
fn how_long_an_event_is_kept() {
    let of = |event_type| {
        let event: &EventReference = events().iter().find(|event| event.event_type == event_type).expect("it is in it");
        event.retention.iter().map(|kept| (kept.class, kept.depends_on.clone())).collect::<Vec<_>>()
    };
    assert_eq!(of("SessionPriced"), [("ledger", None)]);
    assert_eq!(of("MeterValuesRecorded"), [("telemetry", None)]);
    // `hard`, `admitted`, `offline` and the like don't matter.
    assert_eq!(of("ChargePointRegistered"), [("operational", None)]);
    let repeated = |is| Some(("repeated".to_owned(), is));
    assert_eq!(of("ConnectorStatusReported"), [("operational", repeated(false)), ("telemetry", repeated(true))]);
}

#[test]
fn older_versions_are_told_by_their_steps() {
    let (aggregate, event_type) = (AggregateType::Token, "TokenRegistered");
    let step = |from, to, says| Step { aggregate, event_type, from, to, says, change: |_| Ok(()) };
    let other = Step { event_type: "TokenBlocked", ..step("1", "2", "not this one") };
    let steps = [step("2", "10", "`group` is added"), other, step("1", "2", "`uid` is called `value`")];
    let changes = [("1".to_owned(), vec!["- uid: text".to_owned(), "+ value: text".to_owned()])];
    let older = older::versions(&steps, aggregate, event_type, &changes.into());
    let told: Vec<_> =
        older.iter().map(|older| (older.version.as_str(), older.to.as_str(), older.says.as_str())).collect();
    assert_eq!(told, [("1", "2", "`uid` is called `value`"), ("2", "10", "`group` is added")]);
    assert_eq!(older[0].changes.len(), 2);
}
