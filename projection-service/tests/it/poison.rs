//! An event that can't be folded is not passed over.

use event_store::EventStore;
use read_models::testing::Network;
use schema::log::Position;
use schema::view::ViewStore;

use crate::support::{Process, assert_tables_are_the_fold, contained, empty, grow, log, store_options};

#[tokio::test]
async fn the_worker_stops_before_it_says_so_and_goes_on_when_it_is_mended() {
    let seed = 7;
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let views = ViewStore::new(database.pool().clone(), false);
    let mut network = Network::new(seed);
    let head = grow(&store, &mut network, 200).await;
    let poisonous = Position(head.0 / 2);
    sqlx::query("UPDATE events SET event_version = '77' WHERE position = $1")
        .bind(poisonous.0)
        .execute(database.pool())
        .await
        .unwrap();

    let process = Process::start(database.url(), "worker");
    contained(&views, Position(poisonous.0 - 1)).await;
    let reason = loop {
        if let Some(reason) = process.readiness.not_ready().await.remove("projections")
            && reason.0.contains(&poisonous.to_string())
        {
            break reason.0;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(reason, format!("stopped before the event at {poisonous}"));
    assert_eq!(views.reached().await.unwrap().position, Position(poisonous.0 - 1));

    sqlx::query("UPDATE events SET event_version = '1' WHERE position = $1")
        .bind(poisonous.0)
        .execute(database.pool())
        .await
        .unwrap();
    // A process begins anew with what the log says now; the old one has decoded it already.
    drop(process);
    let process = Process::start(database.url(), "worker");
    contained(&views, head).await;
    assert_tables_are_the_fold(&store, &views, seed).await;
    assert_eq!(log(&store).await.len() as i64, head.0);
    assert!(process.readiness.not_ready().await.is_empty());
}
