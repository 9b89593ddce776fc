use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{SecondsFormat, Utc};
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::bench::client::open;

/// Before the clock starts, so that caches and plans are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// What each charger sends.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    Heartbeats,
    /// One reading of a running transaction a message, with so many values.
    MeterValues {
        values: u32,
    },
}

/// What came of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Load {
    pub fn name(self) -> String {
        match self {
            Self::Heartbeats => "heartbeats".to_owned(),
            Self::MeterValues { values } => format!("durable MeterValues of {values}"),
        }
    }
}

/// All chargers against one server for one turn.
pub async fn run(address: SocketAddr, load: Load, connections: u32, turn: Duration) -> anyhow::Result<Measured> {
    let mut chargers = JoinSet::new();
    let mut connected = vec![];
    for number in 0..connections {
        connected.push(Charger::connect(address, number, load).await.context("connecting a charger")?);
    }
    let begin = Instant::now() + WARM_UP;
    for charger in connected {
        chargers.spawn(charger.send(load, begin, begin + turn));
    }
    let mut answered = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    while let Some(ended) = chargers.join_next().await {
        answered.add(ended??)?;
    }
    let ms = |quantile| answered.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Measured { per_s: answered.len() as f64 / turn.as_secs_f64(), p50_ms: ms(0.5), p99_ms: ms(0.99) })
}

struct Charger {
    socket: WebSocketStream<TcpStream>,
    transaction_id: i64,
    sent: u64,
}

impl Charger {
    async fn connect(address: SocketAddr, number: u32, load: Load) -> anyhow::Result<Self> {
        let mut request = format!("ws://{address}/BENCH{number:05}").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse()?);
        let socket = open(request).await?;
        let mut charger = Self { socket, transaction_id: 1, sent: 0 };
        if let Load::MeterValues { .. } = load {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            let start = json!({"connectorId": 1, "idTag": "BENCH", "meterStart": 0, "timestamp": now});
            let answer = charger.exchange(json!([2, "start", "StartTransaction", start]).to_string()).await?;
            let answer: Value = serde_json::from_str(&answer)?;
            // The echo server's answer names none.
            charger.transaction_id = answer[2]["transactionId"].as_i64().unwrap_or(1);
        }
        Ok(charger)
    }

    /// One message after another; answers how long those since `begin` took, in microseconds.
    async fn send(mut self, load: Load, begin: Instant, end: Instant) -> anyhow::Result<Histogram<u64>> {
        let mut answered = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        loop {
            let message = self.message(load)?;
            let sent = Instant::now();
            let answer = self.exchange(message).await?;
            // The echo server gives the call back, the edge its result.
            ensure!(!answer.starts_with("[4"), "a message was refused: {answer}");
            let now = Instant::now();
            if now >= end {
                break;
            }
            if sent >= begin {
                answered.saturating_record((now - sent).as_micros() as u64);
            }
        }
        self.socket.close(None).await?;
        while self.socket.next().await.is_some() {}
        Ok(answered)
    }

    fn message(&mut self, load: Load) -> anyhow::Result<String> {
        self.sent += 1;
        let Self { sent, transaction_id, .. } = self;
        let Load::MeterValues { values } = load else {
            return Ok(format!(r#"[2,"{sent}","Heartbeat",{{}}]"#));
        };
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut sampled = format!(r#"{{"value":"{sent}","unit":"Wh"}}"#);
        for phase in 1..values {
            let (current, phase) = (sent.wrapping_mul(7) % 32, phase.min(3));
            write!(sampled, r#",{{"value":"{current}","measurand":"Current.Import","phase":"L{phase}","unit":"A"}}"#)?;
        }
        Ok(format!(
            r#"[2,"{sent}","MeterValues",{{"connectorId":1,"transactionId":{transaction_id},"meterValue":[{{"timestamp":"{now}","sampledValue":[{sampled}]}}]}}]"#
        ))
    }

    async fn exchange(&mut self, text: String) -> anyhow::Result<String> {
        self.socket.send(Message::text(text)).await?;
        loop {
            match self.socket.next().await.context("the server hung up")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("the server sent {other}"),
            }
        }
    }
}
