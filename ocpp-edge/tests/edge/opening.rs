//! Who is let in.

use ocpp_edge::{Config, Limits, UnknownChargers};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use crate::support::{Closed, Edge, Network, patiently};

const KEY: &str = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";

fn status<T>(opened: Result<T, tungstenite::Error>) -> u16 {
    match opened {
        Ok(_) => 101,
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_registered_charger_needs_its_password() {
    let network = Network::new().await;
    network.register("CP001", Some(b"correct horse")).await;
    network.register("CP002", Some(KEY.as_bytes())).await;
    network.register("CP003", None).await;
    let edge = Edge::start(&network.app).await;
    let key: Vec<u8> = (0..8).chain([0xff; 12]).collect();
    let lower = KEY.to_lowercase();
    // Twice: what was verified is remembered.
    for _ in 0..2 {
        for (charger, user, password, expected) in [
            ("CP001", "CP001", Some(b"correct horse".as_slice()), 101),
            ("CP001", "CP001", Some(b"battery staple"), 401),
            ("CP001", "CP003", Some(b"correct horse"), 401),
            ("CP001", "CP001", None, 401),
            ("CP002", "CP002", Some(KEY.as_bytes()), 101),
            ("CP002", "CP002", Some(lower.as_bytes()), 101),
            ("CP002", "CP002", Some(&key), 101),
            ("CP002", "CP002", Some(&key[1..]), 401),
            ("CP003", "CP003", None, 101),
            ("CP003", "CP003", Some(b"whatever"), 101),
            ("CP004", "CP004", Some(b"correct horse"), 404),
            ("ocpp/1.6/CP001", "CP001", Some(b"correct horse"), 404),
        ] {
            let password = password.map(|password| (user, password));
            let opened = edge.try_charger(&format!("/{charger}"), Some("ocpp1.6"), password).await;
            assert_eq!(status(opened), expected, "{charger} {password:?}");
        }
    }
    edge.stop().await;
    assert_eq!(network.charge_point("CP001").await.epoch.0, 2);
}

#[tokio::test]
async fn unknown_chargers_are_admitted_by_policy() {
    let network = Network::new().await;
    let config = Config { unknown_chargers: UnknownChargers::Accept, ..Config::default() };
    let edge = Edge::start_with(&network.app, config).await;
    let mut charger = edge.charger("/ocpp/NEW%20ONE").await;
    charger.boot().await;
    assert_eq!(network.charge_point("NEW ONE").await.boot.map(|boot| boot.vendor), Some("Elmo".to_owned()));
    edge.stop().await;
}

#[tokio::test]
async fn versions_are_negotiated() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    for offer in [None, Some("ocpp2.0.1, ocpp1.6")] {
        let mut charger = edge.try_charger("/CP001", offer, None).await.unwrap();
        charger.call("Heartbeat", json!({})).await;
    }
    // Completed without a subprotocol, which this client does not take for an answer.
    let refused = edge.raw(&opening("/CP001", "Sec-WebSocket-Protocol: ocpp1.5\r\n")).await;
    assert!(refused.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&refused));
    assert!(refused.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1002_u16.to_be_bytes()));
    edge.stop().await;
}

#[tokio::test]
async fn what_is_no_opening_gets_an_answer_of_http() {
    let network = Network::new().await;
    let edge = Edge::start(&network.app).await;
    let large = format!("GET /CP001 HTTP/1.1\r\nX: {}\r\n", "x".repeat(20_000));
    for (request, status) in [
        ("GET /CP001 HTTP/1.1\r\nHost: x\r\n\r\n", "426"),
        ("POST /CP001 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("\x16\x03\x01 hello tls\r\n\r\n", "400"),
        (large.as_str(), "431"),
        (&opening("/CP001", ""), "404"),
        (&opening("/", ""), "404"),
    ] {
        let answer = String::from_utf8(edge.raw(request).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {answer}");
    }
    edge.stop().await;
}

#[tokio::test]
async fn who_does_not_open_in_time_is_hung_up_on() {
    let network = Network::new().await;
    let limits = Limits { opening_wait_max: Duration::from_millis(50), ..Limits::default() };
    let edge = Edge::start_limited(&network.app, limits).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    stream.write_all(b"GET /CP001 HTTP/1.1\r\n").await.unwrap();
    let mut answer = vec![];
    assert_eq!(patiently(stream.read_to_end(&mut answer)).await.unwrap(), 0);
    edge.stop().await;
}

#[tokio::test]
async fn a_frame_may_come_with_the_opening() {
    let network = Network::new().await;
    network.register("CP001", None).await;
    let edge = Edge::start(&network.app).await;
    // A masked, empty ping right behind the request.
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    stream.write_all(&[opening("/CP001", "").as_bytes(), &[0x89, 0x80, 0, 0, 0, 0]].concat()).await.unwrap();
    let mut answer = vec![];
    while !answer.ends_with(&[0x8a, 0x00]) {
        assert_ne!(patiently(stream.read_buf(&mut answer)).await.unwrap(), 0);
    }
    drop(stream);
    let mut charger = edge.charger("/CP001").await;
    edge.begin_stop();
    assert_eq!(charger.closed().await, Closed::With(1001));
    edge.stop().await;
}

fn opening(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}
