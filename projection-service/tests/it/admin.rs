//! The service alone, on its port.

use event_store::EventStore;
use projection_service::Config;
use read_models::testing::Network;
use schema::view::ViewStore;
use service_host::Shutdown;
use tokio::net::TcpListener;

use crate::support::{contained, empty, grow, store_options};

#[tokio::test]
async fn it_is_ready_and_measured_and_ends_when_it_is_told() {
    let database = empty().await;
    let store = EventStore::connect(database.pool().clone(), store_options()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let pool = database.pool().clone();
    let running =
        tokio::spawn(projection_service::run(Config::default(), store.clone(), pool, listener, shutdown.clone()));
    let position = grow(&store, &mut Network::new(3), 30).await;
    let views = ViewStore::new(database.pool().clone());
    contained(&views, position).await;

    let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.unwrap();
    assert_eq!(get("/health").await.status(), 200);
    while get("/ready").await.status() != 200 {}
    let metrics = loop {
        let metrics = get("/metrics").await.text().await.unwrap();
        // It is measured once a second.
        if metrics.contains("coulomb_projection_lag_positions{group=\"live\"} 0") {
            break metrics;
        }
    };
    for name in ["lag_seconds", "batch_size_count", "apply_seconds_count", "events_total", "partitions"] {
        assert!(metrics.contains(&format!("coulomb_projection_{name}{{group=\"live\"")), "{name} in {metrics}");
    }
    shutdown.begin();
    running.await.unwrap().unwrap();
    // The shares were given back.
    let held = "SELECT count(*) FROM leases WHERE name = 'projections' AND until > clock_timestamp()";
    while sqlx::query_scalar::<_, i64>(held).fetch_one(database.pool()).await.unwrap() > 0 {}
}
