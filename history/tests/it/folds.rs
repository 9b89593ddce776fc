//! At any position every row and every list is what a single-threaded fold of the log up to there makes.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use read_models::testing::Network;
use schema::log::Position;
use schema::view::{Column, Model, Order, Query, Row, RowChange};

use crate::support::{World, assert_same, expected, json, of};

/// What a column holds, taken from the row's JSON.
fn value(column: Column, row: &Row) -> Option<String> {
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
    let json = json(row);
    let text = json.pointer(path)?.as_str()?;
    Some(if column == Column::RequestedAt { text.trim_end_matches('Z') } else { text }.to_owned())
}

const ALL_COLUMNS: [Column; 11] = [
    Column::TenantId,
    Column::Identity,
    Column::SiteId,
    Column::DriverId,
    Column::ChargePointId,
    Column::SessionId,
    Column::TransactionId,
    Column::State,
    Column::RequestedByKind,
    Column::RequestedById,
    Column::RequestedAt,
];

/// Everything that can be asked as of a position.
async fn check(world: &World, log: &[std::sync::Arc<schema::log::RecordedEvent>], position: i64, rng: &mut StdRng) {
    let at = world.at(position).await;
    let rows = expected(log, Position(position));
    let last = expected(log, Position(i64::MAX));
    for model in Model::ALL {
        let what = format!("{} at {position}", model.name());
        let there = of(&rows, model);
        assert_same(&world.pages(Query::of(model), &at).await, &there, &what);

        let mut down = there.clone();
        down.reverse();
        assert_same(&world.pages(Query::of(model).order(Order::KeyDescending), &at).await, &down, &what);

        let column = match model {
            Model::ChargePoints => Some((Order::IdentityAscending, Column::Identity)),
            Model::Commands => Some((Order::RequestedAtDescending, Column::RequestedAt)),
            _ => None,
        };
        if let Some((order, column)) = column {
            let mut sorted = there.clone();
            sorted.sort_by_key(|change| (value(column, &change.row), change.key.clone()));
            if order == Order::RequestedAtDescending {
                sorted.reverse();
            }
            assert_same(&world.pages(Query::of(model).order(order), &at).await, &sorted, &what);
        }

        for column in model.columns().iter().copied() {
            let values: BTreeSet<_> = of(&last, model).into_iter().filter_map(|row| value(column, &row.row)).collect();
            let values: Vec<_> = values.into_iter().collect();
            let chosen: Vec<_> = values.choose_multiple(rng, 2).cloned().collect();
            let holds = |change: &&&RowChange| value(column, &change.row).is_some_and(|value| chosen.contains(&value));
            let filtered: Vec<_> = there.iter().filter(holds).copied().collect();
            if !chosen.is_empty() {
                let query = Query::of(model).with_any(column, chosen.iter());
                assert_same(&world.pages(query, &at).await, &filtered, &format!("{what}, {column:?} {chosen:?}"));
            }
        }

        // One by one: what was there, and what came later.
        let keys: Vec<&RowChange> = of(&last, model);
        for change in keys.choose_multiple(rng, 12) {
            let found = world.past.get(model, &change.key, &at).await.unwrap();
            let expected = rows.get(&(model, change.key.clone()));
            let found: Vec<_> = found.iter().map(|row| row.as_ref().clone()).collect();
            assert_same(&found, expected.as_slice(), &what);
        }
        let keys: Vec<&str> = keys.iter().map(|change| change.key.as_str()).collect();
        let mut found: Vec<_> = world.past.get_all(model, &keys, &at).await.unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let found: Vec<_> = found.iter().map(|row| row.as_ref().clone()).collect();
        assert_same(&found, &there, &what);
    }
    // Names lead to who had them then.
    for change in of(&last, Model::ChargePoints).choose_multiple(rng, 3) {
        let Row::ChargePoints(row) = &change.row else { panic!("a charge point") };
        let name = row.charge_point.identity.as_ref().unwrap().as_str();
        let found = world.past.charge_point_called(row.tenant_id, name, &at).await.unwrap();
        let had = |change: &&RowChange| value(Column::Identity, &change.row).as_deref() == Some(name);
        let expected = of(&rows, Model::ChargePoints).into_iter().find(had);
        assert_eq!(found.map(|found| found.key.clone()), expected.map(|change| change.key.clone()), "{name}");
    }
}

fn positions(rng: &mut StdRng, head: i64, every: i64) -> BTreeSet<i64> {
    let mut positions: BTreeSet<i64> = (0..6).map(|_| rng.random_range(0..=head)).collect();
    let boundary = rng.random_range(0..=head / every) * every;
    positions.extend([0, 1, boundary, (boundary - 1).max(0), (boundary + 1).min(head), head]);
    positions
}

#[tokio::test]
async fn whatever_is_killed() {
    for seed in 0..3 {
        println!("seed {seed}");
        let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));
        let every = rng.random_range(20..60);
        let world = World::new(every).await;
        let (mut processes, mut started) = (vec![], 0);
        for round in 0..10 {
            if processes.len() < 3 {
                started += 1;
                processes.push(world.start(&format!("worker-{started}")));
            }
            let position = world.grow(&mut network, rng.random_range(1..60)).await;
            if rng.random_bool(0.3) {
                world.contained(position).await;
            } else {
                world.grow(&mut network, rng.random_range(0..60)).await;
            }
            if rng.random_bool(0.5) {
                drop(processes.swap_remove(rng.random_range(0..processes.len())));
            }
            if round == 5 {
                world.keep_every(every + 7).await;
            }
        }
        processes.push(world.start("the last"));
        let (head, _) = world.store.head().await.unwrap();
        world.contained(head).await;
        assert_tables_keep_no_more_than_they_should(&world).await;
        let log = world.log().await;
        for position in positions(&mut rng, head.0, every) {
            check(&world, &log, position, &mut rng).await;
        }
    }
}

/// What is kept lies over a boundary, and versions of a row follow each other.
async fn assert_tables_keep_no_more_than_they_should(world: &World) {
    let mut kept = 0;
    for model in Model::ALL.map(Model::name) {
        let rows = format!(
            "SELECT count(*), count(*) FILTER (WHERE history.boundary(until - 1) < position), \
             count(*) FILTER (WHERE EXISTS (SELECT FROM history.{model} o WHERE o.key = h.key \
                 AND o.position > h.position AND o.position < h.until)) FROM history.{model} h"
        );
        let (all, idle, overlapping): (i64, i64, i64) =
            sqlx::query_as(&rows).fetch_one(world.database.pool()).await.unwrap();
        assert_eq!((idle, overlapping), (0, 0), "{model}");
        kept += all;
    }
    assert!(kept > 50, "{kept} rows are kept");
}

/// The log is ahead of the read models: what is not in them yet is folded from the events.
#[tokio::test]
async fn read_models_may_be_behind() {
    let (seed, every) = (21, 50);
    let (mut rng, mut network) = (StdRng::seed_from_u64(seed), Network::new(seed));
    let world = World::new(every).await;
    world.grow(&mut network, 100).await;
    let log = world.log().await;
    // Nobody has folded anything.
    check(&world, &log, log.len() as i64, &mut rng).await;
    let process = world.start("worker");
    let position = world.grow(&mut network, 100).await;
    world.contained(position).await;
    drop(process);
    let position = world.grow(&mut network, 150).await;
    let log = world.log().await;
    for position in [1, position.0 - 170, position.0 - 20, position.0] {
        check(&world, &log, position, &mut rng).await;
    }
    for column in ALL_COLUMNS {
        assert!(Model::ALL.iter().any(|model| model.columns().contains(&column)), "{column:?}");
    }
}

/// Several who ask for the same page as the log grows get the same.
#[tokio::test]
async fn what_was_does_not_change() {
    let world = World::new(30).await;
    let mut network = Network::new(5);
    let _process = world.start("worker");
    let position = world.grow(&mut network, 120).await;
    let (at, log) = (world.at(position.0 - 10).await, world.log().await);
    let rows = expected(&log, at.position);
    for _ in 0..8 {
        for model in [Model::Sessions, Model::ChargePoints, Model::Commands] {
            assert_same(&world.pages(Query::of(model), &at).await, &of(&rows, model), model.name());
        }
        world.grow(&mut network, 15).await;
    }
}
