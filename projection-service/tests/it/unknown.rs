//! Rows of a program that knows more than this one: of an aggregate, a retention class or an envelope that can't be read.

use std::collections::BTreeSet;

use event_store::EventStore;
use event_store::stored::Filter;
use projection_service::parked;
use projection_service::rebuild::{Progress, Rebuilder};
use read_models::Folds;
use read_models::testing::{Network, fold_log};
use schema::columns::row::newest;
use schema::columns::{self, Cell};
use schema::log::Position;
use schema::view::{Model, ViewStore};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::poison::{assert_as_folded, assert_content, operator};
use crate::support::{Process, contained, empty, grow, log, store_options};

/// What is done to an event, and undone.
struct Strange {
    position: Position,
    key: Uuid,
    does: &'static str,
    undoes: &'static str,
    says: &'static str,
}

const STRANGE: [(&str, &str, &str); 3] = [
    (
        "UPDATE events SET aggregate_type = 'Reservation' WHERE position = $1",
        "UPDATE events SET aggregate_type = 'ChargePoint' WHERE position = $1",
        "this program knows no aggregate Reservation",
    ),
    (
        "UPDATE events SET retention = 7 WHERE position = $1",
        "UPDATE events SET retention = 2 WHERE position = $1",
        "this program knows no retention class 7",
    ),
    (
        "UPDATE events SET metadata = json_build_object('was', metadata::text) WHERE position = $1",
        "UPDATE events SET metadata = (metadata ->> 'was')::json WHERE position = $1",
        "the event's envelope can't be read: the metadata has no usable tenant_id",
    ),
];

/// Of three charge points, one event each that makes a row of theirs what it is.
async fn strange(pool: &PgPool, store: &EventStore) -> Vec<Strange> {
    let log = log(store).await;
    let mut keys = BTreeSet::new();
    let of_charge_points = log.iter().filter(|event| event.event_type == "ChargePointRegistered");
    let chosen: Vec<_> =
        of_charge_points.filter(|event| keys.insert(event.partition_key)).take(STRANGE.len()).collect();
    assert_eq!(chosen.len(), STRANGE.len());
    sqlx::query("CREATE TABLE events_of_tomorrow PARTITION OF events FOR VALUES IN (7)").execute(pool).await.unwrap();
    let strange = chosen.into_iter().zip(STRANGE).map(|(event, (does, undoes, says))| {
        let (position, key) = (event.position, event.partition_key);
        Strange { position, key, does, undoes, says }
    });
    strange.collect()
}

async fn set(pool: &PgPool, sql: &str, position: Position) {
    let done = sqlx::query(sql).bind(position.0).execute(pool).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn what_only_a_newer_program_knows_parks_its_key_and_others_flow() {
    let seed = 12;
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(seed);
    let head = grow(&store, &mut network, 300).await;
    let strange = strange(pool, &store).await;
    for Strange { position, does, .. } in &strange {
        set(pool, does, *position).await;
    }

    let process = Process::start(database.url(), "worker");
    contained(&views, head).await;
    let folded = fold_log(&Folds::of_today(), &log(&store).await);
    assert_as_folded(pool, &store, &folded, seed).await;
    for Strange { position, key, says, .. } in &strange {
        let [parked] = &parked::list(pool, Some(Model::ChargePoints), Some(*key), 10).await.unwrap()[..] else {
            panic!("{says}: it is not parked")
        };
        assert_eq!(parked.position, *position);
        assert!(parked.error.contains(says), "{}", parked.error);
        let waiting = parked::waiting(pool, &store, parked, 1).await.unwrap();
        assert_eq!(waiting[0].position, *position);
    }
    // Whoever shows or exports the log gets each row, and what can't be understood of it.
    let shown = store.look(Position::START, head, &Filter::default()).await.unwrap();
    assert_eq!(shown.events.len() as i64, head.0);
    let row = |nth: usize| shown.events.iter().find(|event| event.position == strange[nth].position).unwrap();
    assert!(newest(row(0)).unwrap_err().to_string().contains(strange[0].says));
    assert!(columns::row::envelope(row(1)).contains(&Cell::Text("7".to_owned())));
    assert!(newest(row(2)).unwrap_err().to_string().contains("tenant_id"));
    // What an aggregate of another program is about can't be known.
    let everywhere = parked::list(pool, None, Some(strange[0].key), 100).await.unwrap();
    assert_eq!(everywhere.len(), Model::ALL.len());
    // A new build stands still where the old one does.
    let rebuilder = Rebuilder::new(
        EventStore::connect(pool.clone(), store_options()).await.unwrap(),
        pool.clone(),
        Folds::of_today(),
    );
    for model in [Model::ChargePoints, Model::Sessions] {
        rebuilder.build(model, &Progress::default()).await.unwrap();
        assert_eq!(rebuilder.compare(model, 5).await.unwrap().differing(), 0, "{model:?}");
        let parked = parked::list(pool, Some(model), None, 100).await.unwrap();
        let of = |live: bool| -> Vec<_> {
            let of = parked.iter().filter(|key| key.live == live);
            of.map(|key| (key.partition_key, key.position, key.waiting, key.error.clone())).collect()
        };
        assert_eq!(of(true).iter().collect::<BTreeSet<_>>(), of(false).iter().collect(), "{model:?}");
        assert!(!of(true).is_empty());
        rebuilder.discard(model).await.unwrap();
    }

    // The program is brought up to date: now it knows them.
    drop(process);
    for Strange { position, undoes, .. } in &strange {
        set(pool, undoes, *position).await;
    }
    let _process = Process::start(database.url(), "worker");
    let mut at = head;
    for Strange { key, .. } in &strange {
        for parked in parked::list(pool, None, Some(*key), 100).await.unwrap() {
            at = parked::release(pool, &store, &operator(), parked.model, *key).await.unwrap();
        }
    }
    contained(&views, at).await;
    assert_eq!(parked::list(pool, None, None, 10).await.unwrap().len(), 0);
    assert_content(pool, &store).await;
}
