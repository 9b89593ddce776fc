use std::time::Duration;

use realtime_api::{Limits, MessageRate};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Point, World, limits};

#[tokio::test]
async fn what_cant_be_understood_is_answered_until_it_is_too_much() {
    let world = World::with(Limits { misuse_max: 3, ..limits() }).await;
    let mut client = world.driver_socket().await;
    let mut wrong = async |text: &str| {
        client.send(Message::text(text)).await;
        client.next().await
    };
    assert_eq!(wrong("nonsense").await["data"]["status"], 400);
    let unknown = wrong(r#"{"action":"dance","id":{"a":1}}"#).await;
    assert_eq!((&unknown["data"]["status"], &unknown["id"]), (&422.into(), &json!({"a": 1})));
    assert_eq!(wrong(r#"{"action":"subscribe"}"#).await["data"]["field"], "topic");
    assert_eq!(wrong(r#"[]"#).await["type"], "error");
    assert_eq!(client.closed().await.0, 4004);
}

#[tokio::test]
async fn abuse_closes_the_socket_with_its_code() {
    let limits =
        Limits { message_rate: MessageRate { burst: 30, per_second: 1 }, message_bytes_max: 1_000, ..limits() };
    let world = World::with(limits).await;
    let mut binary = world.driver_socket().await;
    binary.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.closed().await.0, 1003);
    let mut large = world.driver_socket().await;
    large.send(Message::text("x".repeat(200_000))).await;
    assert_eq!(large.closed().await.0, 1009);
    let mut flood = world.driver_socket().await;
    for _ in 0..40 {
        flood.say(json!({"action": "ping"})).await;
    }
    assert_eq!(flood.closed().await.0, 1008);
    // The others notice nothing.
    assert_eq!(world.driver_socket().await.ask(json!({"action": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn subscriptions_are_counted() {
    let world = World::with(Limits { subscriptions_max: 1, subscriptions_refused_max: 1, ..limits() }).await;
    let mut client = world.operator_socket().await;
    let subscribe = |topic| json!({"action": "subscribe", "topic": topic});
    assert_eq!(client.ask(subscribe("me")).await["type"], "snapshot");
    assert_eq!(client.ask(subscribe("me")).await["type"], "snapshot", "again, it begins anew");
    assert_eq!(client.ask(subscribe("fleet")).await["data"]["subscriptions_max"], 1);
    client.say(subscribe("fleet")).await;
    assert_eq!(client.closed().await.0, 4006);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_given_up() {
    let (ping_after, idle_max) = (Duration::from_millis(300), Duration::from_secs(3));
    let world = World::with(Limits { ping_after, idle_max, close_wait: ping_after, ..limits() }).await;
    let gone = world.driver_socket().await;
    let mut alive = world.driver_socket().await;
    // A client answers pings as it reads; this one reads all the time.
    let alive = tokio::spawn(async move { alive.closed().await });
    assert_eq!(gone.closed_in_silence().await, 4008);
    world.begin_shutdown();
    assert_eq!(alive.await.expect("no panic").0, 1001, "it was kept");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed_and_can_tell() {
    let (slow_max, close_wait) = (Duration::from_millis(300), Duration::from_secs(30));
    let world = World::with(Limits { slow_max, close_wait, ping_after: slow_max, ..limits() }).await;
    let names = (0..1_500).map(|n| Point::new(format!("CP{n}").leak()).row());
    world.change(names.enumerate().map(|(n, row)| (1_001 + n as i64, row)).collect()).await;
    world.reached(2_500).await;
    let mut slow = world.operator_socket().await;
    // Snapshots of a megabyte each: more than the kernel holds for a client that does not read.
    for _ in 0..20 {
        slow.say(json!({"action": "subscribe", "topic": "fleet"})).await;
    }
    let closed =
        async { while !world.metrics().await.contains(r#"coulomb_realtime_closes_total{reason="too_slow"} 1"#) {} };
    tokio::time::timeout(Duration::from_secs(60), closed).await.expect("it is given up");
    assert_eq!(slow.closed().await.0, 4005);
}
