//! How connections end, and which of two is heard.

use std::time::Duration;

use domain::outlet::OutletStatus;
use ocpp_edge::Limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Closed, Edge, Network, until};

#[tokio::test]
async fn a_newer_socket_ends_the_older_at_once() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    let mut older = edge.charger("/CP001").await;
    older.boot().await;
    let mut newer = edge.charger("/CP001").await;
    assert_eq!(older.closed().await, Closed::With(4001));
    newer.boot().await;
    // The late end of the older one has changed nothing.
    let charge_point = network.charge_point("CP001").await;
    assert!(charge_point.online && charge_point.epoch.0 == 2);
    assert_eq!(network.count_of("CP001", "ChargePointDisconnected").await, 0);
    edge.stop().await;
    assert!(!network.charge_point("CP001").await.online);
}

#[tokio::test]
async fn a_newer_socket_on_another_edge_ends_the_older_too() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let (here, there) = (Edge::start(&network.app).await, Edge::start(&network.app).await);
    let mut older = here.charger("/CP001").await;
    older.boot().await;
    let mut newer = there.charger("/CP001").await;
    assert_eq!(older.closed().await, Closed::With(4001));
    newer.status(1, "Charging").await;
    here.stop().await;
    let charge_point = network.charge_point("CP001").await;
    assert!(charge_point.online);
    assert_eq!(charge_point.reports[0].status, OutletStatus::Charging);
    there.stop().await;
    assert_eq!(network.count_of("CP001", "ChargePointDisconnected").await, 1);
}

#[tokio::test]
async fn a_half_open_socket_does_not_block_the_new_one() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    // It is never read from again.
    let _half_open = edge.charger("/CP001").await;
    for epoch in 2..5 {
        let mut charger = edge.charger("/CP001").await;
        charger.boot().await;
        assert_eq!(network.charge_point("CP001").await.epoch.0, epoch);
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_silent_charger_is_disconnected() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let limits =
        Limits { ping_after: Duration::from_millis(20), silence_max: Duration::from_millis(100), ..Limits::default() };
    let edge = Edge::start_limited(&network.app, limits).await;
    let charger = edge.charger("/CP001").await;
    // A client that is not polled answers no ping.
    until(async || !network.charge_point("CP001").await.online).await;
    drop(charger);
    edge.stop().await;
}

#[tokio::test]
async fn one_that_answers_pings_stays() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let limits = Limits {
        ping_after: Duration::from_millis(20),
        pong_wait_max: Duration::from_secs(10),
        silence_max: Duration::from_secs(10),
        ..Limits::default()
    };
    let edge = Edge::start_limited(&network.app, limits).await;
    let mut charger = edge.charger("/CP001").await;
    charger.until_pinged(3).await;
    charger.call("Heartbeat", json!({})).await;
    assert!(network.charge_point("CP001").await.online);
    edge.stop().await;
}

#[tokio::test]
async fn who_closes_in_good_order_is_answered_so() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "going to sleep".into() };
    charger.send(Message::Close(Some(frame))).await;
    assert_eq!(charger.closed().await, Closed::With(1000));
    until(async || !network.charge_point("CP001").await.online).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_shutdown_drains() {
    let network = Network::new().await;
    let chargers = ["CP001", "CP002", "CP003"];
    for charger in chargers {
        network.register(charger, None).await;
    }
    let edge = Edge::start(&network.app).await;
    let mut connected = vec![];
    for charger in chargers {
        connected.push(edge.charger(&format!("/{charger}")).await);
    }
    edge.begin_stop();
    for charger in &mut connected {
        assert_eq!(charger.closed().await, Closed::With(1001));
    }
    edge.stop().await;
    for charger in chargers {
        assert!(!network.charge_point(charger).await.online);
    }
    let held = "SELECT count(*) FROM leases WHERE until > clock_timestamp()";
    let held: i64 = sqlx::query_scalar(held).fetch_one(network.database.pool()).await.unwrap();
    assert_eq!(held, 0, "the lease was given back");
}
