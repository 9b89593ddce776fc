//! Whoever is erased hears nothing more: their sockets are closed in every process, and nobody else's.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::phone::Account;
use tests::{MASTER_KEY, Network, ProgramBuilder, configured, free_port, logs, text, within};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// Processes that were not asked learn of it within a second; the rest is for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A socket that follows `me`.
async fn socket(port: u16, account: &Account) -> WebSocketStream<TcpStream> {
    let address = format!("127.0.0.1:{port}");
    let mut request = format!("ws://{address}/ws").into_client_request().expect("a URL");
    let token = account.access_token().await.expect("an account has a token");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let stream = TcpStream::connect(&address).await.expect("it listens");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("it opens");
    socket.send(Message::text(json!({"action": "subscribe", "topic": "me"}).to_string())).await.expect("it is open");
    loop {
        let message = next(&mut socket).await;
        assert_ne!(message["type"], "error", "{message}");
        if message["type"] == "snapshot" {
            return socket;
        }
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let message = within("a message", socket.next()).await.expect("it is open").expect("a message");
        if let Message::Text(text) = message {
            return serde_json::from_str(text.as_str()).expect("it is JSON");
        }
    }
}

/// The code with which it is closed.
async fn closed(mut socket: WebSocketStream<TcpStream>) -> u16 {
    loop {
        match within("the end", socket.next()).await.expect("an end that says why").expect("a message") {
            Message::Close(frame) => return frame.expect("a code").code.into(),
            _ => continue,
        }
    }
}

#[tokio::test]
async fn the_sockets_of_an_erased_driver_are_closed_at_once() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (network, _program) = Network::start_on(database.url(), logs("erased-sockets"), &[]).await;
    let elsewhere = free_port();
    let other =
        ProgramBuilder::new(&["realtime-api", "--http", &elsewhere.to_string()], elsewhere, logs("erased-sockets-2"));
    let other = configured(other).env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", MASTER_KEY);
    let _other = other.start().await;
    let here: u16 = network.http.rsplit(':').next().and_then(|port| port.parse().ok()).expect("it has a port");

    let erased = network.customer(network.person(), None).await;
    let stays = network.customer(network.person(), None).await;
    let driver_id = text(&erased.get("/api/me").await.expect("they can ask")["driver_id"]);
    let (near, far) = (socket(here, &erased).await, socket(elsewhere, &erased).await);
    let mut others = [socket(here, &stays).await, socket(elsewhere, &stays).await];

    let operator = network.operator().await;
    operator.post(&format!("/api/drivers/{driver_id}/erase"), &json!({}), None).await.expect("they are erased");
    let since = Instant::now();
    assert_eq!((closed(near).await, closed(far).await), (4002, 4002));
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    for socket in &mut others {
        socket.send(Message::text(json!({"action": "ping"}).to_string())).await.expect("it is open");
        while next(socket).await["type"] != "pong" {}
    }
}
