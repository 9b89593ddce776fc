//! What was archived is looked back on, rebuilt and proved as before; without its archive it is said to be missing.

use std::collections::BTreeMap;

use domain::charge_point::ChargePoint;
use domain::envelope::Retention;
use domain::event::AggregateType;
use domain::session::ChargingSession;
use event_store::stored::Filter;
use event_store::{EventStore, read};
use history::{Asked, Error, Past};
use projection_service::rebuild::{self, Limits, Progress, Rebuilder};
use projection_service::verify::{Finding, verify, verify_with_archives};
use read_models::Folds;
use read_models::testing::Network;
use schema::log::Position;
use schema::stored::StoredEvent;
use schema::view::{Model, Query, RowChange};
use serde_json::Value;

use crate::support::{RANGE, World};

/// Small, so that there are many reads and checkpoints.
const LIMITS: Limits = Limits { tasks: 2, range_positions: 90, rows: 25, checkpoint_positions: 150 };

type Told = (String, Position, bool, Value);

fn told(row: &RowChange) -> Told {
    (row.key.clone(), row.position, row.removed, serde_json::from_str(&row.row.to_json()).expect("JSON"))
}

/// All rows of a read model at a position, as a list and row by row.
async fn looked(past: &Past, model: Model, asked: Asked) -> Result<Vec<Told>, Error> {
    let at = past.moment(asked).await?;
    let mut listed = vec![(at.position.to_string(), at.position, false, serde_json::json!(at.recorded_at))];
    let mut after = None;
    loop {
        let page = past.list(&Query::of(model).limit(20).after(after), &at).await?;
        listed.extend(page.rows.iter().map(|row| told(row)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (key, ..) in listed.clone().iter().skip(1).step_by(5) {
        let row = past.get(model, key, &at).await?;
        listed.extend(row.iter().map(|row| told(row)));
    }
    Ok(listed)
}

async fn everything(store: &EventStore, head: Position) -> Vec<StoredEvent> {
    store.look(Position::START, head, &Filter::default()).await.expect("looked").events
}

fn asked(events: &[StoredEvent]) -> Vec<Asked> {
    let some = events.iter().skip(37).step_by(101);
    some.flat_map(|event| [Asked::Position(event.position), Asked::Time(event.recorded_at)]).collect()
}

/// The states of all charge points and sessions, folded from their events.
async fn states(store: &EventStore, events: &[StoredEvent]) -> Vec<String> {
    let mut states = vec![];
    let first = events.iter().filter(|event| event.sequence == 1);
    for event in first {
        let id = event.aggregate_id;
        if event.aggregate_type == AggregateType::ChargePoint.as_str() {
            let loaded = store.load::<ChargePoint>(id).await.expect("loaded");
            states.push(format!("{id} {} {:?}", loaded.version, loaded.state));
        } else if event.aggregate_type == AggregateType::ChargingSession.as_str() {
            let loaded = store.load::<ChargingSession>(id).await.expect("loaded");
            states.push(format!("{id} {} {:?}", loaded.version, loaded.state));
        }
    }
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_archived_is_read_as_if_it_were_there() {
    let world = World::new().await;
    let pool = world.database.pool();
    let head = world.grow(&mut Network::new(17), 700).await;
    assert!(head.0 > 5 * RANGE, "the log ends at {head}");
    let events = everything(&world.store, head).await;
    assert_eq!(events.len() as i64, head.0);
    let before = Past::new(world.without_reader().await, world.views.clone());
    let mut was = vec![];
    for asked in asked(&events) {
        for model in Model::ALL {
            was.push((model, asked, looked(&before, model, asked).await.expect("looked")));
        }
    }
    let folded = states(&world.without_reader().await, &events).await;
    assert!(folded.len() > 20);
    let proved = verify(pool, None, |_| {}).await.expect("read");
    assert_eq!((&proved.findings, proved.events), (&vec![], head.0));

    for first in [1, 1 + RANGE, 1 + 3 * RANGE] {
        world.detach(Retention::Telemetry, first).await;
    }
    world.detach(Retention::Operational, 1).await;
    world.detach(Retention::Ledger, 1).await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(pool).await.expect("a count");
    assert!(kept < head.0 - RANGE, "{kept} of {head} are left");

    // The log.
    let store = world.with_reader().await;
    assert!(everything(&store, head).await == events, "the log is as it was");
    assert_eq!(states(&world.with_reader().await, &events).await, folded);
    // As of.
    let past = Past::new(world.with_reader().await, world.views.clone());
    let mut rows = 0;
    for (model, asked, was) in &was {
        assert_eq!(&looked(&past, *model, *asked).await.expect("looked"), was, "{} at {asked:?}", model.name());
        rows += was.len();
    }
    assert!(rows > 1_000, "{rows} rows were compared");
    // Proof.
    let report = verify_with_archives((pool, &store), None, |_| {}).await.expect("read");
    assert_eq!((&report.findings, report.not_kept), (&vec![], 0));
    assert_eq!((report.events, report.digest, report.archived), (head.0, proved.digest, head.0 - kept));
    // Rebuild.
    let rebuilder = Rebuilder::new(store.clone(), pool.clone(), Folds::of_today()).with_limits(LIMITS);
    for model in Model::ALL {
        rebuilder.build(model, &Progress::default()).await.expect("built");
        let compared = rebuilder.compare(model, 3).await.expect("compared");
        assert!(compared.shadow_rows > 0, "{} has no rows", model.name());
        assert_eq!(compared.differing(), 0, "{}: {:?}", model.name(), compared.sample);
    }
    let report = verify_with_archives((pool, &store), None, |_| {}).await.expect("read");
    assert_eq!(report.findings, vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_an_archive_that_is_not_read_is_said_to_be_missing() {
    let world = World::new().await;
    let pool = world.database.pool();
    let head = world.grow(&mut Network::new(18), 300).await;
    let events = everything(&world.store, head).await;
    for first in [1, 1 + RANGE] {
        world.detach(Retention::Telemetry, first).await;
    }
    let middle = Asked::Position(Position(RANGE + RANGE / 2 + 13));

    // By a program that has no reader.
    let without = world.without_reader().await;
    let past = Past::new(without.clone(), world.views.clone());
    let gone = looked(&past, Model::Sessions, middle).await;
    assert!(matches!(gone, Err(Error::NotKept { earliest }) if earliest.0 >= 2 * RANGE), "{gone:?}");
    looked(&past, Model::Sites, middle).await.expect("sites are not made of telemetry");
    let rebuilder = Rebuilder::new(without, pool.clone(), Folds::of_today()).with_limits(LIMITS);
    let refused = rebuilder.build(Model::Sessions, &Progress::default()).await.expect_err("made of what is gone");
    let rebuild::Error::Log(read::Error::Archive(told)) = &refused else { panic!("{refused:?}") };
    assert!(told.to_string().contains("without the feature `archive`"), "{told}");
    rebuilder.discard(Model::Sessions).await.expect("discarded");
    let report = verify(pool, None, |_| {}).await.expect("read");
    assert_eq!(report.findings, vec![]);
    assert!(report.not_kept > 0);

    // By one that has, where the archive is gone; and once it is back.
    let away = world.folder.path().with_extension("away");
    std::fs::rename(world.folder.path(), &away).expect("moved");
    let store = world.with_reader().await;
    let past = Past::new(store.clone(), world.views.clone());
    let gone = looked(&past, Model::Sessions, middle).await;
    assert!(matches!(gone, Err(Error::NotKept { .. })), "{gone:?}");
    let report = verify_with_archives((pool, &store), None, |_| {}).await.expect("read");
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        assert!(matches!(finding, Finding::ArchiveBroken { why, .. } if why.contains("manifest.json")), "{finding:?}");
    }
    std::fs::rename(&away, world.folder.path()).expect("moved back");
    looked(&past, Model::Sessions, middle).await.expect("looked");
    assert!(everything(&store, head).await == events);

    // It moves, and whoever knew where it was finds it.
    std::fs::rename(world.folder.path(), &away).expect("moved");
    let (from, to) = (world.folder.path().display().to_string(), away.display().to_string());
    let moved = sqlx::query("UPDATE log_archives SET url = replace(url, $1, $2)").bind(from).bind(to);
    moved.execute(pool).await.expect("noted");
    assert!(everything(&store, head).await == events);

    // Its states are told by their streams, not by chance.
    let streams: BTreeMap<_, _> = events.iter().map(|event| (event.aggregate_id, event.sequence)).collect();
    for event in events.iter().filter(|event| event.aggregate_type == AggregateType::ChargingSession.as_str()) {
        let loaded = store.load::<ChargingSession>(event.aggregate_id).await.expect("loaded");
        assert_eq!(Some(&loaded.version), streams.get(&event.aggregate_id));
    }
    std::fs::remove_dir_all(&away).expect("removed");
}
