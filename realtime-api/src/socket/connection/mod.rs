//! One socket: reads what the client says, writes what waits for it, and keeps its deadlines.
//!
//! There are a hundred thousand of these. What one holds while idle is counted in docs/websocket.md; whatever is needed for
//! a moment only is boxed and let go.

mod clock;
mod mail;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use application::auth::{Caller, Unauthenticated};
use futures_util::{Sink, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rand::Rng;
use service_host::{Code, Problem};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::allowance::Allowance;
use super::close::Close;
use super::sockets::Place;
use super::wire::Wire;
use crate::failed::Failed;
use crate::hub::{Mailbox, Shard, Signal, SubscriptionId, Topic, Viewer};
use crate::state::Api;
use clock::{Clock, Due};

/// tungstenite's buffer for reading, allocated with the socket.
const READ_BUFFER_BYTES: usize = 512;
/// Control frames are all that tungstenite writes itself.
const CONTROL_BYTES_MAX: usize = 1024;

type Ws = WebSocketStream<Wire<TokioIo<Upgraded>>>;

pub struct Connection {
    api: Api,
    shard: Arc<Shard>,
    mailbox: Arc<Mailbox>,
    ws: Ws,
    caller: Option<Caller>,
    pub(super) subscriptions: Vec<Subscription>,
    next_subscription: u32,
    /// Called for, and not yet done.
    signal: Signal,
    clock: Clock,
    /// tungstenite reads no more: what comes is thrown away.
    unreadable: bool,
    /// The connection is lost, or its client did not end it in time.
    ended: bool,
    allowance: Allowance,
    misuses: u16,
    pub(super) subscriptions_refused: u16,
    _place: Place,
}

pub(super) struct Subscription {
    pub id: SubscriptionId,
    pub topic: Topic,
    /// As the client calls it.
    pub name: Box<str>,
}

enum Step {
    Mail,
    Alarm,
    Close(Close),
    Received(Message),
    Failed(WsError),
    Gone,
}

impl Connection {
    /// Until it is closed.
    pub async fn serve(api: Api, place: Place, stream: Upgraded, presented: Option<Result<Caller, Unauthenticated>>) {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES_MAX)
            .max_message_size(Some(api.limits.message_bytes_max))
            .max_frame_size(Some(api.limits.message_bytes_max));
        let wire = Wire::new(TokioIo::new(stream));
        let ws = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
        let shards = api.hub.shards();
        let shard = shards[rand::rng().random_range(0..shards.len())].clone();
        let now = Instant::now();
        let mut socket = Self {
            mailbox: shard.attach(),
            shard,
            ws,
            caller: None,
            subscriptions: Vec::new(),
            next_subscription: 0,
            signal: Signal::NONE,
            clock: Clock::new(now),
            unreadable: false,
            ended: false,
            allowance: Allowance::new(api.limits.message_rate, now),
            misuses: 0,
            subscriptions_refused: 0,
            _place: place,
            api,
        };
        match presented {
            None => {}
            Some(Ok(caller)) => socket.authenticated(None, caller),
            Some(Err(error)) => socket.close(close_for(&error)),
        }
        // Whoever was attached before this began is told by the drain.
        if socket.api.shutdown.has_begun() {
            let reason = Close::GoingAway(socket.spread());
            socket.close(reason);
        }
        socket.run().await;
    }

    async fn run(mut self) {
        self.set_alarm();
        loop {
            match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Mail => self.take_mail(),
                Step::Alarm => self.keep_deadlines(),
                Step::Close(reason) => self.close(reason),
                Step::Received(message) => self.received(message).await,
                Step::Failed(error) => self.failed(&error),
                Step::Gone => break,
            }
        }
        if !self.ended {
            // What tungstenite has queued in the end: its answer to a close.
            let deadline = self.api.limits.close_wait;
            let rest = poll_fn(|cx| self.ws.get_mut().poll_end(cx));
            let _ = Box::pin(tokio::time::timeout(deadline, rest)).await;
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if self.ended {
            return Poll::Ready(Step::Gone);
        }
        let called = self.mailbox.answer(cx.waker());
        self.signal = self.signal.and(called);
        if self.signal.take(Signal::ALARM) {
            return Poll::Ready(Step::Alarm);
        }
        if !self.clock.is_closing() {
            if self.signal.take(Signal::DRAIN) {
                return Poll::Ready(Step::Close(Close::GoingAway(self.spread())));
            }
            if self.signal.take(Signal::RESET) {
                return Poll::Ready(Step::Close(Close::HistoryReplaced(self.spread())));
            }
            if self.signal.take(Signal::ERASURE) && self.is_erased() {
                return Poll::Ready(Step::Close(Close::BadToken));
            }
        }
        match self.ws.get_mut().poll_send(cx) {
            Poll::Ready(Ok(())) => {
                self.clock.written();
                if !self.clock.is_closing() && self.signal.take(Signal::MAIL) {
                    return Poll::Ready(Step::Mail);
                }
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Step::Gone),
            Poll::Pending => {
                self.clock.blocked(self.ws.get_mut().take_progress(), Instant::now());
                // A client that does not read is not listened to either, or its answers would pile up.
                if !self.clock.is_closing() {
                    return Poll::Pending;
                }
            }
        }
        self.poll_read(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if self.unreadable {
            return match self.ws.get_mut().poll_end(cx) {
                Poll::Ready(Ok(())) => self.ws.get_mut().poll_discard(cx).map(|()| Step::Gone),
                Poll::Ready(Err(_)) => Poll::Ready(Step::Gone),
                Poll::Pending => Poll::Pending,
            };
        }
        Pin::new(&mut self.ws).poll_next(cx).map(|received| match received {
            Some(Ok(message)) => Step::Received(message),
            Some(Err(error)) => Step::Failed(error),
            None => Step::Gone,
        })
    }

    async fn received(&mut self, message: Message) {
        let now = Instant::now();
        self.clock.heard(now);
        if self.clock.is_closing() {
            return;
        }
        if !matches!(message, Message::Close(_)) && !self.allowance.take(self.api.limits.message_rate, now) {
            return self.close(Close::Flood);
        }
        match message {
            Message::Text(text) => {
                metrics::counter!("coulomb_realtime_messages_received_total").increment(1);
                Box::pin(self.act(text.as_str())).await;
            }
            Message::Binary(_) => self.close(Close::Binary),
            // Answered, or to be answered, by tungstenite itself.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }

    /// tungstenite has given up reading.
    fn failed(&mut self, error: &WsError) {
        self.unreadable = true;
        match error {
            WsError::Capacity(CapacityError::MessageTooLong { .. }) => self.close(Close::TooLarge),
            WsError::Utf8(_) => self.close(Close::InvalidText),
            WsError::Protocol(_) | WsError::Capacity(_) | WsError::AttackAttempt => self.close(Close::ProtocolError),
            // The connection is lost.
            _ => self.ended = true,
        }
    }

    fn keep_deadlines(&mut self) {
        let now = Instant::now();
        match self.clock.due(now, &self.api.limits, self.token_left()) {
            None => {}
            Some(Due::Ping) => {
                self.clock.pinged(now);
                let _ = Pin::new(&mut self.ws).start_send(Message::Ping(Default::default()));
            }
            Some(Due::Close(reason)) => self.close(reason),
            Some(Due::End) => {
                metrics::counter!("coulomb_realtime_slow_closes_total").increment(1);
                self.ended = true;
                return;
            }
        }
        self.set_alarm();
    }

    fn set_alarm(&self) {
        let wait = self.clock.next(Instant::now(), &self.api.limits, self.token_left());
        self.shard.schedule(&self.mailbox, wait);
    }

    /// How long the caller's token is good; none: nobody has presented one.
    fn token_left(&self) -> Option<Duration> {
        let caller = self.caller.as_ref()?;
        Some((caller.expires_at - self.api.now()).to_std().unwrap_or_default())
    }

    /// Says why, and from then on waits for the client's end only.
    pub(super) fn close(&mut self, reason: Close) {
        if self.clock.is_closing() {
            return;
        }
        metrics::counter!("coulomb_realtime_closes_total", "reason" => reason.label()).increment(1);
        tracing::debug!(
            reason = reason.label(),
            user_id = self.caller.as_ref().map(|c| c.user_id.to_string()),
            "closing a socket"
        );
        self.end_subscriptions();
        if reason == Close::TooSlow {
            self.ws.get_mut().forget_queued();
        }
        let frame = CloseFrame { code: CloseCode::from(reason.code()), reason: reason.reason().into() };
        // Only queued; an error says that the client has closed already.
        let _ = Pin::new(&mut self.ws).start_send(Message::Close(Some(frame)));
        self.clock.closing(Instant::now());
        self.set_alarm();
    }

    /// When this client is to come back, of all those that are sent away together.
    fn spread(&self) -> Duration {
        let spread = self.api.limits.drain_over.as_millis() as u64;
        Duration::from_millis(rand::rng().random_range(0..=spread.max(1)))
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Who it belongs to.
    pub(super) fn caller(&self) -> Result<&Caller, Failed> {
        let known = self.caller.as_ref();
        known.ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "Send an auth message with an access token first.").into()
        })
    }

    pub(super) fn set_caller(&mut self, caller: Caller) {
        self.caller = Some(caller);
        self.set_alarm();
        // Erased since the token was checked: whoever is told of that was told when this was nobody's yet.
        if self.is_erased() {
            self.close(Close::BadToken);
        }
    }

    fn is_erased(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| self.api.application.verifier().refuses(caller.user_id))
    }

    pub(super) fn viewer(&self) -> Option<Viewer> {
        let caller = self.caller.as_ref()?;
        Some(caller.driver_id().map_or(Viewer::Operator, Viewer::Driver))
    }

    /// Counts a message that could not be understood.
    pub(super) fn misused(&mut self) {
        self.misuses += 1;
        if self.misuses > self.api.limits.misuse_max {
            self.close(Close::Misuse);
        }
    }

    pub(super) fn new_subscription(&mut self) -> SubscriptionId {
        self.next_subscription += 1;
        SubscriptionId(self.next_subscription)
    }

    fn end_subscriptions(&mut self) {
        for subscription in std::mem::take(&mut self.subscriptions) {
            self.end_subscription(&subscription);
        }
    }

    pub(super) fn end_subscription(&self, subscription: &Subscription) {
        self.shard.unsubscribe(subscription.topic, &self.mailbox, subscription.id);
        metrics::gauge!("coulomb_realtime_subscriptions").decrement(1);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end_subscriptions();
        self.shard.detach(&self.mailbox);
    }
}

pub(super) fn close_for(error: &Unauthenticated) -> Close {
    match error {
        Unauthenticated::Invalid => Close::BadToken,
        Unauthenticated::Expired => Close::TokenExpired,
        Unauthenticated::Unavailable(_) => Close::TryAgain,
    }
}
