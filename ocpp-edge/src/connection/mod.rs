//! A connected charger: one task, which answers its calls in their order and sends it one call at a time.

mod clock;
mod commands;
mod end;
mod flood;
mod liveness;
mod outbox;
mod refreshing;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use application::report::{CommandAnswer, Link, Requested, Standing};
use chrono::{DateTime, Utc};
use domain::id::ChargePointIdentity;
use service_host::TraceId;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};
use tracing::Instrument;

pub use clock::{ReportClock, Timed};
pub use end::End;

use crate::edge::Edge;
use crate::frame::{self, Frame};
use crate::mailbox::{Ending, Mailbox};
use crate::persist::{Failure, persist};
use crate::refresh::Refresh;
use crate::socket::Socket;
use crate::v16::Action;
use crate::v16::report::{NoReply, Reply, Reporter};
use commands::LOST;
use flood::Flood;
use liveness::{Due, Liveness};
use outbox::Outbox;

pub struct Connection {
    edge: Arc<Edge>,
    identity: ChargePointIdentity,
    link: Link,
    socket: Socket,
    mailbox: Arc<Mailbox>,
    clock: ReportClock,
    flood: Flood,
    outbox: Outbox,
    liveness: Liveness,
    refresh: Refresh,
    connected: Instant,
    /// The edge is shutting down: for so long an answer to what was sent is waited for.
    draining_until: Option<Instant>,
    /// After how many of the process's standstills it was last seen that this connection is the newest.
    standstills: u64,
    /// What was last quarantined.
    quarantined: Option<u64>,
}

impl Connection {
    /// Of a charger that stands in the log as connected, and did so first after so many standstills of the process.
    pub fn new(
        edge: Arc<Edge>,
        identity: ChargePointIdentity,
        link: Link,
        socket: Socket,
        mailbox: Arc<Mailbox>,
        connected_at: DateTime<Utc>,
        standstills: u64,
    ) -> Self {
        let (now, limits) = (Instant::now(), &edge.config.limits);
        metrics::gauge!("coulomb_ocpp_edge_connections").increment(1.0);
        Self {
            clock: ReportClock::new(connected_at, now),
            flood: Flood::new(limits.messages_burst, limits.messages_per_s, now),
            outbox: Outbox::new(link.epoch.0),
            liveness: Liveness::new(now),
            refresh: Refresh::Idle,
            connected: now,
            draining_until: None,
            standstills,
            quarantined: None,
            edge,
            identity,
            link,
            socket,
            mailbox,
        }
    }

    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Until it ends, for whatever reason; then the end is recorded.
    pub async fn run(mut self) {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        Box::pin(self.finish(end)).await;
    }

    /// What is done for a message or at a time of its own is boxed: most chargers are idle, and an idle task should not have
    /// the size of the busiest.
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        Box::pin(self.take_up_commands()).await?;
        let mut timer = pin!(sleep_until(self.wake_at()));
        loop {
            match self.mailbox.ending() {
                Some(Ending::Draining) if self.awaits_last_answer() => {}
                Some(ending) => return Err(ending.into()),
                None => {
                    let commands = self.mailbox.take();
                    self.outbox.enqueue(commands);
                    if self.may_send() {
                        Box::pin(self.send_next()).await?;
                    }
                }
            }
            let wake_at = self.wake_at();
            if timer.is_elapsed() || wake_at < timer.deadline() {
                timer.as_mut().reset(wake_at);
            }
            tokio::select! {
                () = self.mailbox.changed() => {}
                message = self.socket.read() => Box::pin(self.receive(message)).await?,
                () = timer.as_mut() => Box::pin(self.look_after()).await?,
            }
        }
    }

    /// When something is due that no message brings.
    fn wake_at(&self) -> Instant {
        let limits = &self.edge.config.limits;
        let first_message = self.is_unheard().then(|| self.connected + limits.first_message_wait);
        // Once that is over, the commands have been sent.
        let first_message = first_message.filter(|at| *at > Instant::now());
        [first_message, self.outbox.deadline(), self.refresh.due(), self.draining_until]
            .into_iter()
            .flatten()
            .fold(self.liveness.due(limits), Instant::min)
    }

    /// The edge is shutting down: whether the charger was asked for something, and may still answer. What waits to be sent is left
    /// to the next connection.
    fn awaits_last_answer(&mut self) -> bool {
        let now = Instant::now();
        let until = *self.draining_until.get_or_insert(now + self.edge.config.limits.drain_answer_wait);
        self.outbox.awaits_outcome() && now < until
    }

    /// No message of OCPP has come on this connection.
    fn is_unheard(&self) -> bool {
        matches!(self.refresh, Refresh::Idle)
    }

    async fn look_after(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.draining_until.is_some_and(|until| until <= now) {
            return Err(End::Draining);
        }
        match self.liveness.check(now, &self.edge.config.limits) {
            Due::Nothing => {}
            Due::Ping => self.send(Message::Ping(Bytes::new())).await?,
            Due::GiveUp => return Err(End::Silent),
        }
        self.time_out_command(now).await?;
        self.refresh_when_due(now).await
    }

    async fn receive(&mut self, message: Result<Message, tungstenite::Error>) -> Result<(), End> {
        use tungstenite::Error;
        let now = Instant::now();
        if matches!(message, Ok(_) | Err(Error::Utf8(_))) && !self.flood.take(now) {
            return Err(End::Flood);
        }
        match message {
            Ok(Message::Text(text)) => {
                self.liveness.heard(now);
                self.text(text.as_str(), now).await
            }
            Ok(Message::Pong(_)) => {
                self.liveness.ponged(now);
                Ok(())
            }
            Ok(Message::Ping(_) | Message::Frame(_)) => {
                self.liveness.heard(now);
                Ok(())
            }
            Ok(Message::Binary(_)) => Err(End::Binary),
            Ok(Message::Close(_)) => Err(End::ByCharger),
            Err(Error::Utf8(_)) => {
                self.liveness.heard(now);
                dropped("not_utf8");
                Ok(())
            }
            Err(Error::Capacity(_)) => Err(End::TooLarge),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Err(End::Lost),
            Err(Error::Protocol(error)) => {
                tracing::info!(charger = self.identity.as_str(), %error, "a charger broke the WebSocket protocol");
                Err(End::Protocol)
            }
            Err(_) => Err(End::Lost),
        }
    }

    async fn text(&mut self, text: &str, now: Instant) -> Result<(), End> {
        let received_at = Utc::now();
        let frame = frame::read(text);
        if self.is_unheard() && frame.is_ok() {
            self.refresh = Refresh::AskAll(now + self.edge.config.limits.stable_after);
        }
        match &frame {
            Ok(Frame::Result(result)) => return self.answered(result).await,
            Ok(Frame::Error(error)) => return self.answered_by_error(error).await,
            Ok(Frame::Call(_)) | Err(_) => {}
        }
        self.clock.heard(now);
        let trace_id = TraceId::random().to_string();
        let (name, span) = match &frame {
            Ok(Frame::Call(call)) => {
                let name = Action::find(&call.action).map_or("other", |action| action.name);
                (
                    name,
                    tracing::info_span!("charger message", charger = self.identity.as_str(), action = name, trace_id),
                )
            }
            _ => ("none", tracing::info_span!("charger text", charger = self.identity.as_str(), trace_id)),
        };
        let mut reporter = Reporter {
            edge: &self.edge,
            link: &self.link,
            clock: &mut self.clock,
            quarantined: &mut self.quarantined,
            received_at,
            trace_id,
        };
        let report = async {
            // Where the trace begins that ends with "fanned out" at a phone.
            tracing::debug!("a message is read");
            match &frame {
                Ok(Frame::Call(call)) => reporter.call(call).await.map(Some),
                Err(error) => reporter.broken(error, text).await,
                Ok(Frame::Result(_) | Frame::Error(_)) => Ok(None),
            }
        };
        let reply = tokio::select! {
            biased;
            // What is under way in the log is not undone; the charger asks again on its newer socket.
            ending = self.mailbox.cut_off() => return Err(ending.into()),
            reply = report.instrument(span) => reply,
        };
        match reply {
            Ok(Some(Reply { frame, outcome })) => {
                metrics::counter!("coulomb_ocpp_edge_messages_total", "action" => name, "outcome" => outcome.label())
                    .increment(1);
                self.send(Message::text(frame)).await?;
                self.clock.answered(Instant::now());
                Ok(())
            }
            Ok(None) => {
                dropped("no_message");
                Ok(())
            }
            Err(NoReply::Fenced) => Err(End::Superseded),
            Err(NoReply::Unavailable) => Err(End::Unavailable),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.woken().await?;
        match timeout(self.edge.config.limits.write_wait_max, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(tungstenite::Error::WriteBufferFull(_))) | Err(_) => Err(End::NotTaking),
            Ok(Err(_)) => Err(End::Lost),
        }
    }

    /// After a standstill of the process: another edge may have taken the charger, and ended what was about to be sent. It may stand
    /// still again while it asks.
    async fn woken(&mut self) -> Result<(), End> {
        loop {
            let standstills = self.edge.pulse.standstills();
            if standstills == self.standstills {
                return Ok(());
            }
            Box::pin(self.is_still_newest()).await?;
            self.standstills = standstills;
        }
    }

    async fn is_still_newest(&self) -> Result<(), End> {
        match persist(self.edge.config.limits.report_retry_for, || self.link.standing()).await {
            Ok(Standing::Newest) => Ok(()),
            Ok(Standing::Disconnected) => Err(End::PresumedGone),
            Ok(Standing::Superseded) | Err(Failure::Fenced) => Err(End::Superseded),
            Err(failure) => {
                tracing::warn!(charger = self.identity.as_str(), ?failure, "whether a charger has moved can't be read");
                Err(End::Unavailable)
            }
        }
    }

    /// Closes the socket and records the end. Of a connection that was superseded the log takes nothing.
    pub async fn finish(mut self, end: End) {
        self.edge.mailboxes.remove(self.link.charge_point_id, &self.mailbox);
        metrics::gauge!("coulomb_ocpp_edge_connections").decrement(1.0);
        metrics::counter!("coulomb_ocpp_edge_connections_ended_total", "reason" => end.label()).increment(1);
        let (charger, epoch, trace_id) = (self.identity.as_str(), self.link.epoch.0, TraceId::random());
        tracing::info!(charger, epoch, reason = end.label(), %trace_id, "a charger's connection ended");
        let unanswered = self.abandon_command();
        let Self { edge, identity, link, socket, .. } = self;
        let hands_over = end == End::Draining && edge.config.hands_over;
        if hands_over {
            edge.handed_over.fetch_add(1, Ordering::Relaxed);
        }
        let close = async {
            match end.frame() {
                Some(frame) => socket.close(Some(frame)).await,
                // Also sends the answer to the charger's close frame.
                None if end == End::ByCharger => socket.close(None).await,
                None => drop(socket),
            }
        };
        let record = async {
            let recorded = match end {
                End::Superseded => Ok(()),
                _ if hands_over => unanswered_ended(&link, unanswered).await,
                _ => ended(&link.traced(Some(trace_id.to_string())), unanswered, end).await,
            };
            if let Err(failure) = recorded {
                tracing::warn!(charger = identity.as_str(), ?failure, "a disconnection was not recorded");
            }
        };
        tokio::join!(close, record);
    }
}

/// Records the end, however long it takes: else the charger would count as connected until it is.
async fn ended(link: &Link, unanswered: Option<Requested>, end: End) -> Result<(), Failure> {
    let now = Utc::now();
    unanswered_ended(link, unanswered).await?;
    persist(Duration::MAX, || link.disconnect(end.reason(), now)).await
}

async fn unanswered_ended(link: &Link, unanswered: Option<Requested>) -> Result<(), Failure> {
    let Some(Requested { command_id, trace_id }) = unanswered else { return Ok(()) };
    let link = link.traced(trace_id);
    let lost = CommandAnswer::Failed { reason: LOST.to_owned() };
    persist(Duration::MAX, || link.command_answered(command_id, lost.clone())).await
}

/// A frame that nothing can be done about.
fn dropped(why: &'static str) {
    metrics::counter!("coulomb_ocpp_edge_dropped_frames_total", "why" => why).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle charger costs besides its socket's buffers: a change should be on purpose.
    #[test]
    fn an_idle_connection_is_small() {
        fn size_of_output<F: Future>(_: impl Fn(Connection) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size_of_output(Connection::run);
        println!("{} {bytes}", size_of::<Connection>());
        assert!(bytes <= 3 * 1024, "{bytes}");
    }
}
