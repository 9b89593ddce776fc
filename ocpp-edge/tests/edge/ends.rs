//! How connections end, and which of two is heard.

use std::time::{Duration, Instant};

use domain::outlet::OutletStatus;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use ocpp_edge::{Config, Limits, UnknownChargers};
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

/// A charger that is told to go connects anew at once: all of them together would be a storm on whoever takes them.
#[tokio::test]
async fn chargers_are_handed_over_evenly_and_over_the_time_that_is_set() {
    const CHARGERS: usize = 100;
    // A machine that stands still for a second is not to close most of them in one quarter.
    const SPREAD: Duration = Duration::from_secs(6);
    const LATE_MAX: Duration = Duration::from_secs(10);
    let network = Network::new().await;
    let config = Config {
        hands_over: true,
        unknown_chargers: UnknownChargers::Accept,
        limits: Limits { drain_spread_max: SPREAD, ..Limits::default() },
        ..Config::default()
    };
    let edge = Edge::start_with(&network.app, config).await;
    let connecting = (0..CHARGERS).map(|number| {
        let edge = &edge;
        async move { edge.charger(&format!("/CP{number:03}")).await }
    });
    let connected: Vec<_> = stream::iter(connecting).buffer_unordered(16).collect().await;
    let began = Instant::now();
    edge.begin_stop();
    let closing = connected.into_iter().map(|mut charger| async move {
        assert_eq!(charger.closed().await, Closed::With(1001));
        began.elapsed()
    });
    let mut closed = join_all(closing).await;
    closed.sort();
    let within = |share: f64| closed.iter().filter(|at| **at <= SPREAD.mul_f64(share)).count();
    let by_quarters = [0.25, 0.5, 0.75, 1.0].map(within);
    // A slow machine is late with some; none is ever closed too soon.
    let at_most = [1, 2, 3, 4].map(|quarter| quarter * CHARGERS / 4 + 1);
    assert!(by_quarters.iter().zip(at_most).all(|(closed, at_most)| *closed <= at_most), "{by_quarters:?}");
    // Nor do most go at once, be it late; what is a quarter too late has one of its own.
    let quarter_of = |at: &Duration| (at.as_secs_f64() / SPREAD.mul_f64(0.25).as_secs_f64()) as usize;
    let fullest = closed.chunk_by(|a, b| quarter_of(a) == quarter_of(b)).map(<[_]>::len).max();
    assert!(fullest.is_some_and(|most| most <= CHARGERS * 6 / 10), "{by_quarters:?}, {fullest:?} of them at once");
    assert!(closed.last().is_some_and(|last| *last < SPREAD + LATE_MAX), "the last after {:?}", closed.last());
    println!(
        "{CHARGERS} chargers were sent away by quarters of {SPREAD:?}: {by_quarters:?}, all of them {:?}",
        closed.last()
    );
    edge.stop().await;
}
