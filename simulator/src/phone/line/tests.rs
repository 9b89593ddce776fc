use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::*;

/// A server, a line to it that follows these, and what the line tells.
async fn line_to_a_server(topics: &[&str]) -> (TcpListener, Line, mpsc::Receiver<LineEvent>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (events, told) = mpsc::channel(16);
    let line = Line::spawn(LineConfig {
        ws: format!("ws://{address}/ws"),
        account: Account::with_token("http://127.0.0.1:1", "a-token"),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        token_by: TokenBy::Header,
        events: Some(events),
        seed: 1,
    });
    (listener, line, told)
}

/// What the server hears next.
async fn heard(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let message = socket.next().await.expect("it is open").expect("it is sound");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

async fn says(socket: &mut WebSocketStream<TcpStream>, message: Value) {
    socket.send(Message::text(message.to_string())).await.expect("it listens");
}

fn problem(code: &str, status: u16, retry_after_s: Option<u64>) -> Value {
    let mut problem = json!({"type": format!("/problems/{code}"), "title": "", "status": status, "detail": ""});
    if let Some(seconds) = retry_after_s {
        problem["retry_after_s"] = seconds.into();
    }
    problem
}

/// Else it would show for ever what was before, on a line that is open.
#[tokio::test]
async fn what_cant_be_followed_for_the_moment_is_asked_for_again() {
    let (listener, line, mut told) = line_to_a_server(&["charger:gone", "me"]).await;
    let (stream, _) = listener.accept().await.expect("it comes");
    let mut server = tokio_tungstenite::accept_async(stream).await.expect("it speaks");
    assert_eq!(heard(&mut server).await["topic"], "charger:gone");
    assert_eq!(heard(&mut server).await, json!({"action": "subscribe", "topic": "me"}));
    let held = json!({"type": "snapshot", "topic": "me", "upto": 7, "generation": 1,
        "data": {"sessions": [{"session_id": "s", "position": 7}], "commands": []}});
    says(&mut server, held).await;
    let gone = json!({"type": "snapshot", "topic": "charger:gone", "upto": 7, "generation": 1,
        "data": {"charger_id": "gone", "connectors": [], "position": 7}});
    says(&mut server, gone).await;
    line.wait_for(|held| held.newest("charger:gone").is_some()).await.expect("it is open");
    says(&mut server, json!({"type": "error", "topic": "charger:gone", "data": problem("charger-unknown", 404, None)}))
        .await;
    says(&mut server, json!({"type": "error", "topic": "me", "data": problem("unavailable", 503, Some(1))})).await;
    let refused = Instant::now();

    // From where it was, once, and nothing of what there is not.
    let again = heard(&mut server).await;
    assert_eq!(again, json!({"action": "subscribe", "topic": "me", "since": 7, "generation": 1}));
    assert!(refused.elapsed() >= Duration::from_secs(1), "{:?}", refused.elapsed());
    says(&mut server, json!({"type": "resumed", "topic": "me", "generation": 1})).await;
    says(
        &mut server,
        json!({"type": "session_stopped", "topic": "me", "key": "session:s", "position": 9, "upto": 7,
        "removed": true, "data": {}}),
    )
    .await;
    let held = line.wait_for(|held| held.topics["me"].resources.is_empty()).await.expect("it is open");
    assert_eq!(held.topics["charger:gone"], Topic::default(), "what it had of what there is not any more");
    // Nothing more is asked for before what its owner asks.
    let asks = line.clone();
    let asked = tokio::spawn(async move { asks.ask(json!({"action": "ping"})).await });
    assert_eq!(heard(&mut server).await["action"], "ping");
    asked.abort();
    let mut refusals = vec![];
    while let Ok(event) = told.try_recv() {
        if let LineEvent::NotFollowed { topic, why, again_in } = event {
            refusals.push((topic, why.code().to_owned(), again_in.is_some()));
        }
    }
    let expected = [("charger:gone", "charger-unknown", false), ("me", "unavailable", true)];
    assert_eq!(refusals, expected.map(|(topic, code, again)| (topic.to_owned(), code.to_owned(), again)));
}

/// A server that ends says to each when to come back, and has spread them itself.
#[tokio::test]
async fn a_phone_comes_back_when_it_was_told_to() {
    const TOLD: Duration = Duration::from_millis(1_500);
    let (listener, line, mut told) = line_to_a_server(&[]).await;
    let (stream, _) = listener.accept().await.expect("it comes");
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("it speaks");
    let reason = format!("reconnect_after_ms={}", TOLD.as_millis()).into();
    let closed = Instant::now();
    socket.close(Some(CloseFrame { code: 1001.into(), reason })).await.expect("it listens");
    let again_in = loop {
        if let LineEvent::Lost { again_in, .. } = told.recv().await.expect("it says so") {
            break again_in;
        }
    };
    assert_eq!(again_in, TOLD);
    listener.accept().await.expect("it comes back");
    assert!(closed.elapsed() >= TOLD, "{:?}", closed.elapsed());
    drop(line);
}
