use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::{SecondsFormat, Utc};
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::OnTheirWay;
use super::seed::charger_id;
use crate::bench::client::open;
use crate::bench::platform::Reach;

/// A charger that reports changing statuses, and waits for each acknowledgement.
pub struct Charger {
    number: usize,
    socket: WebSocketStream<TcpStream>,
}

impl Charger {
    pub async fn connect(reach: &Reach, number: usize) -> anyhow::Result<Self> {
        let mut request = format!("{}/{}", reach.ocpp, charger_id(number)).into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp1.6".parse()?);
        let socket = open(request).await?;
        let mut charger = Self { number, socket };
        charger
            .call("boot", "BootNotification", json!({"chargePointVendor": "Bench", "chargePointModel": "E2E"}))
            .await?;
        Ok(charger)
    }

    /// Reports once each period until the end; answers how long the acknowledgements took, in microseconds.
    pub async fn report(
        mut self,
        sent: OnTheirWay,
        started: Instant,
        offset: Duration,
        period: Duration,
        until: Duration,
    ) -> anyhow::Result<Histogram<u64>> {
        let mut acknowledged = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        for turn in 0.. {
            let due = offset + period * turn;
            if due >= until {
                break;
            }
            tokio::time::sleep_until((started + due).into()).await;
            let stamp = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            let status = if turn % 2 == 0 { "Preparing" } else { "Available" };
            let payload = json!({"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": stamp});
            sent.sent(self.number, stamp);
            let before = Instant::now();
            self.call(&turn.to_string(), "StatusNotification", payload).await?;
            acknowledged.saturating_record(before.elapsed().as_micros() as u64);
        }
        Ok(acknowledged)
    }

    async fn call(&mut self, id: &str, action: &str, payload: serde_json::Value) -> anyhow::Result<()> {
        self.socket.send(Message::text(json!([2, id, action, payload]).to_string())).await?;
        loop {
            let Message::Text(text) = self.socket.next().await.context("the edge closed the socket")?? else {
                continue;
            };
            let frame: Vec<serde_json::Value> = serde_json::from_str(&text)?;
            match frame.first().and_then(serde_json::Value::as_i64) {
                Some(3) if frame.get(1).is_some_and(|answered| answered == id) => return Ok(()),
                // What the edge asks of a charger is politely declined here.
                Some(2) => {
                    let refusal = json!([4, frame.get(1), "NotImplemented", "", {}]);
                    self.socket.send(Message::text(refusal.to_string())).await?;
                }
                _ => bail!("the edge answered {action} with {text}"),
            }
        }
    }
}
