//! What is not as it should be, and who notices.

use ocpp_edge::Limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{Closed, Edge, Network};

async fn network(limits: Limits) -> (Network, Edge) {
    let network = Network::new().await;
    network.register("CP001", None).await;
    network.register("CP002", None).await;
    let edge = Edge::start_limited(&network.app, limits).await;
    (network, edge)
}

#[tokio::test]
async fn a_text_that_is_no_message_never_closes_the_socket() {
    let (_network, edge) = network(Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    for (text, code) in [
        (r#"[2,"a","Nonsense",{}]"#, "NotImplemented"),
        (r#"[2,"a","TransactionEvent",{}]"#, "NotImplemented"),
        (r#"[2,"a","GetConfiguration",{}]"#, "NotSupported"),
        (r#"[2,"a","Heartbeat",{]"#, "FormationViolation"),
        (r#"[2,"a"]"#, "FormationViolation"),
        (r#"[9,"a","Heartbeat",{}]"#, "FormationViolation"),
        (r#"[2,"a","StatusNotification",{"status":"Available"}]"#, "OccurenceConstraintViolation"),
        (r#"[2,"a","Authorize",{}]"#, "OccurenceConstraintViolation"),
    ] {
        assert_eq!(charger.error(text).await, code, "{text}");
    }
    // No id can be read, or it answers what nobody asked.
    for text in ["", "hello", "{}", "[]", "[2]", "[3,\"a\",{}]", "[4,\"a\",\"GenericError\",\"\",{}]"] {
        charger.text(text).await;
    }
    let not_utf8 = Frame::message(Bytes::from_static(b"\xff\xfe\xfd"), OpCode::Data(Data::Text), true);
    charger.send(Message::Frame(not_utf8)).await;
    charger.call("Heartbeat", json!({})).await;
    edge.stop().await;
}

#[tokio::test]
async fn two_calls_in_flight_are_answered_in_their_order() {
    let (_network, edge) = network(Limits::default()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.text(r#"[2,"1","StatusNotification",{"connectorId":1,"status":"Available","errorCode":"NoError"}]"#).await;
    charger.text(r#"[2,"1","Heartbeat",null]"#).await;
    assert_eq!(charger.next().await, json!([3, "1", {}]));
    assert!(charger.next().await[2]["currentTime"].is_string());
    edge.stop().await;
}

#[tokio::test]
async fn what_must_close_the_socket_says_why_and_nobody_else_notices() {
    let limits = Limits { messages_burst: 50, messages_per_s: 1, message_bytes_max: 64 * 1024, ..Limits::default() };
    let (_network, edge) = network(limits).await;
    let mut other = edge.charger("/CP002").await;

    let mut charger = edge.charger("/CP001").await;
    charger.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(charger.closed().await, Closed::With(1003));

    let mut charger = edge.charger("/CP001").await;
    charger.send(Message::text("x".repeat(limits.message_bytes_max + 1))).await;
    assert_eq!(charger.closed().await, Closed::With(1009));

    let mut charger = edge.charger("/CP001").await;
    for _ in 0..=limits.messages_burst + 10 {
        charger.try_text(r#"[2,"a","Heartbeat",{}]"#).await;
    }
    assert_eq!(charger.closed().await, Closed::With(1008));

    other.call("Heartbeat", json!({})).await;
    edge.stop().await;
}
