use std::sync::{Arc, Mutex};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::OnTheirWay;
use super::seed::charger_id;
use crate::bench::client::open;
use crate::bench::platform::Reach;

/// A phone that follows one charger.
pub struct Phone {
    charger: usize,
    socket: WebSocketStream<TcpStream>,
}

impl Phone {
    pub async fn connect(reach: &Reach, token: &str, charger: usize) -> anyhow::Result<Self> {
        let mut request = format!("{}/ws", reach.ws).into_client_request()?;
        request.headers_mut().insert("Authorization", format!("Bearer {token}").parse()?);
        let mut socket = open(request).await?;
        let topic = format!("charger:{}", charger_id(charger));
        socket.send(Message::text(json!({"action": "subscribe", "topic": topic}).to_string())).await?;
        let mut phone = Self { charger, socket };
        loop {
            let message = phone.next().await?;
            match message["type"].as_str() {
                Some("snapshot") => return Ok(phone),
                Some("error") => anyhow::bail!("{topic} can't be followed: {}", message["data"]["detail"]),
                _ => {}
            }
        }
    }

    /// Takes the time of every update that a report has caused, in microseconds.
    pub async fn follow(mut self, sent: OnTheirWay, seen: Arc<Mutex<Histogram<u64>>>) {
        while let Ok(message) = self.next().await {
            let Some(stamp) = message["data"]["connectors"][0]["status_at"].as_str() else { continue };
            if let Some(took) = sent.seen(self.charger, stamp) {
                let mut seen = seen.lock().expect("no thread panics while it holds this");
                seen.saturating_record(took.as_micros() as u64);
            }
        }
    }

    async fn next(&mut self) -> anyhow::Result<Value> {
        loop {
            match self.socket.next().await.context("the socket was closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => anyhow::bail!("the socket was closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
