//! The tables are read as they were written: by key, by column, a page at a time, and since a position.

use std::collections::BTreeSet;

use event_store::EventStore;
use read_models::Rows;
use read_models::testing::Network;
use schema::log::Position;
use schema::view::{Column, Error, Model, Order, Query, Row, RowChange, ViewStore};

use crate::support::{Process, contained, empty, grow, store_options, tables};

/// What a column holds, taken from the row.
fn value(column: Column, row: &Row) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(&row.to_json()).unwrap();
    let path = match (row.model(), column) {
        (Model::ChargePoints, Column::Identity) => "/charge_point/identity",
        (Model::ChargePoints, Column::SiteId) => "/charge_point/site_id",
        (Model::Sessions, Column::DriverId) => "/session/driver_id",
        (Model::Sessions, Column::ChargePointId) => "/session/charge_point_id",
        (Model::Sessions, Column::TransactionId) => "/session/transaction_id",
        (Model::Sessions, Column::State) => "/session/state",
        (Model::Commands, Column::RequestedByKind) => "/requested_by/kind",
        (Model::Commands, Column::RequestedById) => "/requested_by/id",
        (Model::Tokens, Column::DriverId) => "/token/details/driver_id",
        (_, column) => &format!("/{}", column.name()),
    };
    let text = json.pointer(path)?.as_str()?;
    // Of times, the column has what sorts.
    Some(if column == Column::RequestedAt { text.trim_end_matches('Z') } else { text }.to_owned())
}

/// All pages of a query, of few rows each.
async fn pages(store: &ViewStore, query: Query) -> Vec<RowChange> {
    let (mut rows, mut after) = (vec![], None);
    loop {
        let page = store.list(&query.clone().limit(7).after(after)).await.unwrap();
        assert!(page.rows.len() <= 7);
        rows.extend(page.rows.iter().map(|row| row.as_ref().clone()));
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

fn keys<'r>(rows: impl IntoIterator<Item = &'r RowChange>) -> Vec<&'r str> {
    rows.into_iter().map(|row| row.key.as_str()).collect()
}

async fn filled() -> (embedded_postgres::testing::TestDatabase, ViewStore, Rows) {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone());
    let _process = Process::start(database.url(), "worker");
    let head = grow(&store, &mut Network::new(21), 500).await;
    contained(&views, head).await;
    let rows = tables(&views).await;
    (database, views, rows)
}

#[tokio::test]
async fn rows_are_found_by_each_column_and_paged_in_order() {
    let (_database, store, rows) = filled().await;
    for model in Model::ALL {
        let of_model: Vec<&RowChange> = rows.iter().filter(|(slot, _)| slot.0 == model).map(|(_, row)| row).collect();
        assert!(!of_model.is_empty(), "{model:?}");
        for &column in model.columns() {
            let values: BTreeSet<String> = of_model.iter().filter_map(|row| value(column, &row.row)).collect();
            assert!(!values.is_empty(), "{model:?} {column:?}");
            for wanted in values.iter().take(3) {
                let expected = of_model.iter().filter(|row| value(column, &row.row).as_ref() == Some(wanted));
                let found = pages(&store, Query::of(model).with(column, wanted)).await;
                assert_eq!(keys(&found), keys(expected.copied()), "{model:?} {column:?}");
            }
            let found = pages(&store, Query::of(model).with_any(column, values.iter().take(2))).await;
            let among: BTreeSet<&String> = values.iter().take(2).collect();
            let expected =
                of_model.iter().filter(|row| value(column, &row.row).is_some_and(|value| among.contains(&value)));
            assert_eq!(keys(&found), keys(expected.copied()), "{model:?} {column:?}");
        }
        let mut found = pages(&store, Query::of(model).order(Order::KeyDescending)).await;
        found.reverse();
        assert_eq!(keys(&found), keys(of_model.iter().copied()));

        let middle = Position(of_model.iter().map(|row| row.position.0).sum::<i64>() / of_model.len() as i64);
        let found = pages(&store, Query::of(model).changed_after(middle)).await;
        let expected = of_model.iter().filter(|row| row.position > middle);
        assert_eq!(keys(&found), keys(expected.copied()), "{model:?}");
    }
}

#[tokio::test]
async fn charge_points_are_paged_by_what_they_call_themselves() {
    let (_database, store, rows) = filled().await;
    let mut identities: Vec<String> = rows
        .values()
        .filter(|row| row.row.model() == Model::ChargePoints)
        .filter_map(|row| value(Column::Identity, &row.row))
        .collect();
    identities.sort();
    let found = pages(&store, Query::of(Model::ChargePoints).order(Order::IdentityAscending)).await;
    let found: Vec<String> = found.iter().filter_map(|row| value(Column::Identity, &row.row)).collect();
    assert_eq!(found, identities);
}

#[tokio::test]
async fn readings_are_found_by_the_beginning_of_their_key() {
    let (_database, store, rows) = filled().await;
    let of_readings = |row: &&RowChange| row.row.model() == Model::MeterValues;
    let session = rows.values().find(of_readings).map(|row| row.key.split('/').next().unwrap()).unwrap();
    let expected = rows.values().filter(of_readings).filter(|row| row.key.starts_with(session));
    let found = pages(&store, Query::of(Model::MeterValues).key_prefix(format!("{session}/"))).await;
    assert_eq!(keys(&found), keys(expected));
}

#[tokio::test]
async fn a_removed_row_is_told_to_those_who_ask_what_changed_and_to_nobody_else() {
    let (database, store, rows) = filled().await;
    let row = rows.values().find(|row| row.row.model() == Model::Tokens).unwrap();
    sqlx::query("UPDATE views.tokens SET removed = true WHERE key = $1")
        .bind(&row.key)
        .execute(database.pool())
        .await
        .unwrap();
    assert!(store.get(Model::Tokens, &row.key).await.unwrap().rows.is_none());
    assert!(!keys(&pages(&store, Query::of(Model::Tokens)).await).contains(&row.key.as_str()));
    let changed = pages(&store, Query::of(Model::Tokens).changed_after(Position::START)).await;
    assert!(changed.iter().any(|changed| changed.key == row.key && changed.removed));
}

#[tokio::test]
async fn an_answer_says_how_far_the_read_models_were_and_what_can_not_be_asked() {
    let (_database, store, rows) = filled().await;
    let reached = store.reached().await.unwrap();
    let (slot, row) = rows.iter().next().unwrap();
    let found = store.get(slot.0, &slot.1).await.unwrap();
    assert_eq!((found.reached, found.rows.as_deref()), (reached, Some(row)));
    let nothing = store.get(Model::Plans, "none").await.unwrap();
    assert_eq!((nothing.reached, nothing.rows), (reached, None));
    let empty = store.list(&Query::of(Model::Plans).with(Column::TenantId, "none")).await.unwrap();
    assert_eq!((empty.reached, empty.rows.len(), empty.next), (reached, 0, None));

    let wrong = store.list(&Query::of(Model::Plans).with(Column::Identity, "x")).await;
    assert!(matches!(wrong, Err(Error::NoSuchColumn { model: Model::Plans, column: Column::Identity })));
}
