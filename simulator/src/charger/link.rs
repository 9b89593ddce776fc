//! The charger's socket: opened, lost, opened again.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use futures_util::{SinkExt, StreamExt};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};

use super::answer::Answer;
use super::config::ChargerConfig;
use super::frame::{self, Frame};
use super::handle::Order;
use super::outbox::Outgoing;
use super::outlet::Moment;
use super::station::{Interruption, Station};
use super::view::ChargerView;
use crate::Backoff;
use crate::websocket::{self, Socket};

const RECONNECT_FIRST: Duration = Duration::from_millis(500);
const RECONNECT_LONGEST: Duration = Duration::from_secs(10);
/// A frame that the peer does not take in this time means that the connection is lost.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(10);

pub(super) fn now(config: &ChargerConfig) -> Moment {
    Moment { instant: Instant::now(), at: Utc::now() + config.clock_skew }
}

/// A message that was said and not answered yet.
struct InFlight {
    id: String,
    message: Outgoing,
    deadline: Instant,
}

pub(super) struct Link {
    station: Station,
    orders: mpsc::Receiver<Order>,
    view: watch::Sender<ChargerView>,
    rng: SmallRng,
    in_flight: Option<InFlight>,
}

/// Every handle is dropped.
struct SwitchedOff;

impl Link {
    pub fn new(
        station: Station,
        orders: mpsc::Receiver<Order>,
        view: watch::Sender<ChargerView>,
        rng: SmallRng,
    ) -> Self {
        Self { station, orders, view, rng, in_flight: None }
    }

    pub async fn run(mut self) {
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
        loop {
            let Ok(opened) = self.open().await else { return };
            let mut wait = Duration::ZERO;
            match opened {
                Ok(mut socket) => {
                    backoff.reset();
                    self.station.connected(self.now());
                    let ended = self.converse(&mut socket).await;
                    if let Some(unanswered) = self.in_flight.take() {
                        self.station.unanswered(unanswered.message);
                    }
                    self.station.disconnected();
                    match ended {
                        Ok(Err(error)) => tracing::debug!(charger = self.station.config.id, %error, "connection lost"),
                        Ok(Ok(())) => {}
                        Err(SwitchedOff) => return,
                    }
                }
                Err(error) => tracing::debug!(charger = self.station.config.id, %error, "no connection"),
            }
            match self.station.interruption.take() {
                Some(Interruption::Offline(duration)) => wait = duration,
                Some(Interruption::Reconnect) => {}
                None => wait = backoff.next(&mut self.rng),
            }
            if self.live_until(Instant::now() + wait).await.is_err() {
                return;
            }
        }
    }

    fn now(&self) -> Moment {
        now(&self.station.config)
    }

    fn show(&self) {
        let mut view = self.station.view();
        view.waiting += usize::from(self.in_flight.is_some());
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }

    async fn open(&mut self) -> Result<Result<Socket, websocket::Error>, SwitchedOff> {
        let config = &self.station.config;
        let url = format!("{}/{}", config.ocpp.trim_end_matches('/'), encoded(&config.id));
        let headers = headers(config);
        let opening = websocket::open(&url, &headers);
        tokio::pin!(opening);
        loop {
            self.show();
            let due = self.station_due();
            tokio::select! {
                opened = &mut opening => return Ok(opened),
                order = self.orders.recv() => self.carry_out(order)?,
                () = sleep_until(due) => self.tick(),
            }
        }
    }

    /// Without a connection.
    async fn live_until(&mut self, until: Instant) -> Result<(), SwitchedOff> {
        loop {
            self.show();
            let due = self.station_due();
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                order = self.orders.recv() => self.carry_out(order)?,
                () = sleep_until(due) => self.tick(),
            }
        }
    }

    /// Until the connection is lost, or given up.
    async fn converse(&mut self, socket: &mut Socket) -> Result<Result<(), tungstenite::Error>, SwitchedOff> {
        loop {
            if let Err(error) = self.say_next(socket).await {
                return Ok(Err(error));
            }
            self.show();
            if self.station.interruption.is_some() {
                return Ok(Ok(()));
            }
            let due = self.in_flight.as_ref().map_or(self.station_due(), |call| call.deadline.min(self.station_due()));
            tokio::select! {
                // What has come is heard before more is said.
                biased;
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => {
                        if let Err(error) = self.hear(socket, &text).await {
                            return Ok(Err(error));
                        }
                    }
                    Some(Ok(Message::Close(_))) | None => return Ok(Ok(())),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Ok(Err(error)),
                },
                order = self.orders.recv() => self.carry_out(order)?,
                () = sleep_until(due) => {
                    self.tick();
                    if self.in_flight.as_ref().is_some_and(|call| call.deadline <= Instant::now()) {
                        // A server that answers nothing is not there.
                        return Ok(Ok(()));
                    }
                }
            }
        }
    }

    /// The station's own clock; without a connection it has nothing to say, and must not be asked for it in circles.
    fn station_due(&self) -> Instant {
        let due = self.station.due();
        let idle = !self.station.connected || (!self.station.booted && self.in_flight.is_some());
        if idle && due <= Instant::now() { Instant::now() + Duration::from_secs(1) } else { due }
    }

    fn tick(&mut self) {
        let now = self.now();
        self.station.tick(now);
    }

    /// One message at a time (OCPP-J 1.6 section 4.1.1).
    async fn say_next(&mut self, socket: &mut Socket) -> Result<(), tungstenite::Error> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let now = self.now();
        let Some(mut message) = self.station.next_message(now) else { return Ok(()) };
        let id = match (&message.message_id, self.station.config.reuses_message_ids) {
            (Some(id), true) => id.clone(),
            _ => format!("{:016x}", self.rng.random::<u64>()),
        };
        message.message_id = Some(id.clone());
        message.said_at = Some(self.station.right(now));
        let text = frame::call(&id, message.action, &message.payload);
        let deadline = now.instant + self.station.config.answer_wait;
        self.in_flight = Some(InFlight { id, message, deadline });
        write(socket, text).await
    }

    async fn hear(&mut self, socket: &mut Socket, text: &str) -> Result<(), tungstenite::Error> {
        let now = self.now();
        match Frame::parse(text) {
            Some(Frame::Call { id, action, payload }) => match self.station.asked(&action, &payload, now) {
                Answer::Result(payload) => write(socket, frame::result(&id, &payload)).await?,
                Answer::Error(code) => write(socket, frame::error(&id, code)).await?,
                Answer::Silence => {}
            },
            Some(Frame::Result { id, payload }) => {
                if let Some(call) = self.in_flight.take_if(|call| call.id == id) {
                    self.station.acknowledged(call.message, &payload, now);
                }
            }
            Some(Frame::Error { id, code, .. }) => {
                if let Some(call) = self.in_flight.take_if(|call| call.id == id) {
                    self.station.refused(call.message, &code, now);
                }
            }
            None => tracing::debug!(charger = self.station.config.id, "a frame that is no OCPP message"),
        }
        Ok(())
    }

    fn carry_out(&mut self, order: Option<Order>) -> Result<(), SwitchedOff> {
        let now = self.now();
        let station = &mut self.station;
        // Whoever gave the order may have gone meanwhile; it is carried out all the same.
        match order.ok_or(SwitchedOff)? {
            Order::Plug { outlet, car, done } => {
                let _ = done.send(station.plug(outlet, car, now));
            }
            Order::Unplug { outlet, done } => {
                let _ = done.send(station.unplug(outlet, now));
            }
            Order::Swipe { outlet, tag, done } => {
                let _ = done.send(station.swipe(outlet, tag, now));
            }
            Order::SetFault { outlet, code, done } => {
                let _ = done.send(station.set_fault(outlet, code, now));
            }
            Order::GoOffline { duration, done } => {
                station.interruption = Some(Interruption::Offline(duration));
                let _ = done.send(Ok(()));
            }
            Order::Reconnect { done } => {
                station.interruption = Some(Interruption::Reconnect);
                let _ = done.send(Ok(()));
            }
        }
        self.show();
        Ok(())
    }
}

async fn write(socket: &mut Socket, text: String) -> Result<(), tungstenite::Error> {
    let written = tokio::time::timeout(WRITE_WAIT_MAX, socket.send(Message::text(text))).await;
    written.unwrap_or(Err(tungstenite::Error::ConnectionClosed))
}

fn headers(config: &ChargerConfig) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![];
    if config.offers_subprotocol {
        headers.push((SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("ocpp1.6")));
    }
    if let Some(password) = &config.password {
        let pair = STANDARD.encode(format!("{}:{password}", config.id));
        let basic = HeaderValue::from_str(&format!("Basic {pair}")).expect("base64 is printable");
        headers.push((AUTHORIZATION, basic));
    }
    headers
}

/// Percent-encoded, as a path's last part.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
