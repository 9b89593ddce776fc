//! A charger that may say anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{Request, StatusCode};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::network::{Network, Registered};
use crate::within;

pub struct RawCharger {
    socket: WebSocketStream<TcpStream>,
    /// What the other side has selected.
    pub subprotocol: Option<String>,
    next: u64,
}

impl RawCharger {
    pub async fn connect(network: &Network, registered: &Registered) -> Self {
        Self::connect_with(network, registered, Some("ocpp1.6")).await
    }

    pub async fn connect_with(network: &Network, registered: &Registered, subprotocol: Option<&str>) -> Self {
        let Registered { id, password } = registered;
        let opened = open(network, id, Some(password), subprotocol).await;
        let (socket, subprotocol) = opened.unwrap_or_else(|error| panic!("{id} can't connect: {error}"));
        Self { socket, subprotocol, next: 0 }
    }

    pub async fn text(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.expect("it can be sent");
    }

    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("it can be sent");
    }

    /// Says the same many times without listening, until the other side has had enough.
    pub async fn flood(&mut self, text: &str, times: usize) {
        for _ in 0..times {
            if self.socket.feed(Message::text(text)).await.is_err() {
                return;
            }
        }
        let _ = self.socket.flush().await;
    }

    /// Calls, and gives the answering frame.
    pub async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.next += 1;
        let id = format!("raw-{}", self.next);
        self.call_as(&id, action, payload).await
    }

    pub async fn call_as(&mut self, id: &str, action: &str, payload: Value) -> Value {
        self.text(json!([2, id, action, payload]).to_string()).await;
        self.answer_to(id).await
    }

    /// The payload of the answer.
    ///
    /// # Panics
    /// When it is a CALLERROR.
    pub async fn ask(&mut self, action: &str, payload: Value) -> Value {
        let mut answer = self.call(action, payload).await;
        assert_eq!(answer[0], 3, "{action}: {answer}");
        answer[2].take()
    }

    /// The answer to a call; what the other side asks meanwhile is accepted.
    pub async fn answer_to(&mut self, id: &str) -> Value {
        within(&format!("the answer to {id}"), async {
            loop {
                let frame = self.frame().await;
                if frame[0] == 2 {
                    self.accept(&frame).await;
                } else if frame[1] == id {
                    return frame;
                }
            }
        })
        .await
    }

    /// Waits for a request of the other side, which is not answered yet.
    pub async fn asked(&mut self, action: &str) -> Value {
        within(action, async {
            loop {
                let frame = self.frame().await;
                if frame[0] == 2 && frame[2] == action {
                    return frame;
                }
                if frame[0] == 2 {
                    self.accept(&frame).await;
                }
            }
        })
        .await
    }

    /// The next request of the other side, whatever it is.
    pub async fn next_asked(&mut self) -> Value {
        within("a request", async {
            loop {
                let frame = self.frame().await;
                if frame[0] == 2 {
                    return frame;
                }
            }
        })
        .await
    }

    pub async fn accept(&mut self, frame: &Value) {
        self.answer(frame, json!({"status": "Accepted"})).await;
    }

    pub async fn answer(&mut self, frame: &Value, payload: Value) {
        self.text(json!([3, frame[1], payload]).to_string()).await;
    }

    pub async fn boot(&mut self) -> Value {
        self.ask("BootNotification", json!({"chargePointVendor": "Raw", "chargePointModel": "Socket"})).await
    }

    /// The next message that is text.
    async fn frame(&mut self) -> Value {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("a frame is JSON"),
                Some(Ok(Message::Close(close))) => panic!("closed: {close:?}"),
                Some(Ok(_)) => {}
                other => panic!("lost: {other:?}"),
            }
        }
    }

    /// Everything that the other side still says until it closes, and the code of that.
    pub async fn until_closed(mut self) -> (Vec<Value>, Option<u16>) {
        let mut said = vec![];
        let code = within("the close", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => said.push(serde_json::from_str(&text).expect("a frame is JSON")),
                    Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await;
        (said, code)
    }

    /// Says something whose answer is not waited for.
    pub async fn say(&mut self, action: &str, payload: Value) {
        self.next += 1;
        self.text(json!([2, format!("raw-{}", self.next), action, payload]).to_string()).await;
    }

    /// Waits for the other side to close; none when it just went.
    pub async fn closed(mut self) -> Option<u16> {
        within("the close", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// Closes in good order.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
        self.closed().await;
    }

    /// Nothing more is read or written, and the connection stays: the network is gone.
    pub fn hang(self) -> WebSocketStream<TcpStream> {
        self.socket
    }
}

/// The status with which an opening request is answered that is not let in.
///
/// # Panics
/// When it is let in.
pub async fn opening_refused(network: &Network, id: &str, password: Option<&str>) -> StatusCode {
    match open(network, id, password, Some("ocpp1.6")).await {
        Err(tungstenite::Error::Http(answer)) => answer.status(),
        other => panic!("{id} should not be let in: {:?}", other.map(|_| ())),
    }
}

type Opened = (WebSocketStream<TcpStream>, Option<String>);

async fn open(
    network: &Network,
    id: &str,
    password: Option<&str>,
    subprotocol: Option<&str>,
) -> Result<Opened, tungstenite::Error> {
    let url = format!("{}/{id}", network.ocpp);
    let mut request: Request<()> = url.as_str().into_client_request()?;
    let headers = request.headers_mut();
    if let Some(password) = password {
        let pair = STANDARD.encode(format!("{id}:{password}"));
        headers.insert("authorization", format!("Basic {pair}").parse().expect("base64 is printable"));
    }
    if let Some(subprotocol) = subprotocol {
        headers.insert("sec-websocket-protocol", subprotocol.parse().expect("a name is printable"));
    }
    let address = network.ocpp.trim_start_matches("ws://");
    let stream = TcpStream::connect(address).await?;
    let (socket, answer) = tokio_tungstenite::client_async(request, stream).await?;
    let selected = answer.headers().get("sec-websocket-protocol").and_then(|name| name.to_str().ok());
    Ok((socket, selected.map(str::to_owned)))
}
