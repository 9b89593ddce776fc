use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

/// A test that waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    ws: WebSocketStream<TcpStream>,
    pub response: Response,
}

impl Client {
    pub async fn connect(address: SocketAddr, headers: &[(&str, &str)]) -> Self {
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a URL");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a name");
            request.headers_mut().insert(name, HeaderValue::try_from(*value).expect("a value"));
        }
        let stream = TcpStream::connect(address).await.expect("connected");
        let (ws, response) = tokio_tungstenite::client_async(request, stream).await.expect("opened");
        Self { ws, response }
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        // A socket that was closed meanwhile has its reason waiting.
        let _ = self.ws.send(message).await;
    }

    /// The next message.
    pub async fn next(&mut self) -> Value {
        match self.receive().await {
            Message::Text(text) => serde_json::from_str(text.as_str()).expect("JSON"),
            other => panic!("not a message: {other:?}"),
        }
    }

    pub async fn ask(&mut self, message: Value) -> Value {
        self.say(message).await;
        self.next().await
    }

    /// The code and reason with which it is closed, whatever comes before.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.receive().await {
                let frame = frame.expect("a reason");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Takes what comes from the wire without answering pings, until the socket is closed for it.
    pub async fn closed_in_silence(self) -> u16 {
        let mut stream = self.ws.into_inner();
        let mut frames = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut frames)).await;
        read.expect("an end in time").expect("an orderly end");
        // The close frame is the last one: opcode 8, and its code after the length.
        let close = frames.windows(4).rposition(|frame| frame[0] == 0x88).expect("a close frame");
        u16::from_be_bytes([frames[close + 2], frames[close + 3]])
    }

    pub async fn receive(&mut self) -> Message {
        loop {
            let received = tokio::time::timeout(PATIENCE, self.ws.next()).await.expect("something in time");
            match received.expect("open").expect("a message") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }
}
