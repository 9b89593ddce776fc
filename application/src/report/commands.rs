use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::ChargePoint;
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::CommandId;
use domain::station_command::{
    CommandState, StationCommand, StationCommandCommand, StationCommandEvent, StationRequest,
};
use event_store::Session;
use serde_json::Value;
use uuid::Uuid;

use super::Link;
use crate::Error;
use crate::settle::{advance, leave_queue};
use crate::work::{Work, decide};

/// Configuration keys whose values are passwords (1.6 security whitepaper; OCPP 2.0.1, SecurityCtrlr).
const SECRET_KEYS: [&str; 2] = ["AuthorizationKey", "BasicAuthPassword"];

/// A station command, and the trace in which it was requested: what comes of it belongs to that as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    pub command_id: CommandId,
    pub trace_id: Option<String>,
}

/// A command that stands in the log as sent by this connection: its frame is to be written, once.
#[derive(Debug, Clone, PartialEq)]
pub struct ToSend {
    pub request: StationRequest,
    /// Nobody waits for an answer after it.
    pub answer_until: DateTime<Utc>,
    /// With less of it left, the charger might do what counts as timed out by then.
    left_min: TimeDelta,
}

impl ToSend {
    /// For how long an answer may be waited for. None: recording took so long that the frame must not be written any more.
    pub fn answer_wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        let left = self.answer_until - now;
        left.to_std().ok().filter(|_| left >= self.left_min)
    }
}

/// Station commands that wait for a charger that has just connected.
#[derive(Debug, Clone, Default)]
pub struct OpenCommands {
    /// In the order in which they were requested.
    pub unsent: Vec<Requested>,
}

/// What came of a command that was sent.
#[derive(Debug, Clone)]
pub enum CommandAnswer {
    /// The charger said that it will.
    Accepted(Value),
    /// The charger said that it won't; the reason is its word for it.
    Rejected {
        answer: Value,
        reason: String,
    },
    /// It could not be sent, was answered by an error, or the connection was lost.
    Failed {
        reason: String,
    },
    TimedOut,
}

impl Link {
    /// Takes up what an older connection left: what was only requested is to be sent; what was sent and not answered has
    /// failed, since nothing physical is ever sent twice.
    pub async fn take_up_commands(&self) -> Result<OpenCommands, Error> {
        let open = self.app.store().load::<ChargePoint>(self.charge_point_id).await?.state.open_commands.clone();
        let mut unsent = vec![];
        for command_id in open {
            let command = self.app.store().load::<StationCommand>(command_id).await?.state;
            match (command.state, &command.request) {
                (CommandState::Requested, Some(request)) => unsent.push((request.requested_at, command_id)),
                (CommandState::Sent, _) => {
                    let reason = "The connection was lost before the charger answered.".to_owned();
                    let link = self.traced(self.trace_of(command_id).await?);
                    link.command_answered(command_id, CommandAnswer::Failed { reason }).await?;
                }
                // Somebody settled it this moment, or an older program left it where it was.
                (state, _) if state.is_settled() => self.leaves_queue(command_id).await?,
                // Accepted: its effect is awaited.
                _ => {}
            }
        }
        unsent.sort_unstable();
        let mut open = OpenCommands::default();
        for (_, command_id) in unsent {
            open.unsent.push(Requested { command_id, trace_id: self.trace_of(command_id).await? });
        }
        Ok(open)
    }

    async fn leaves_queue(&self, command_id: CommandId) -> Result<(), Error> {
        let envelope = self.command_envelope(command_id, Actor::system("ocpp-edge"));
        self.app.work(&envelope, Arc::new(LeaveQueue { link: self.clone(), command_id })).await.map(|_| ())
    }

    /// In which trace a command was requested.
    async fn trace_of(&self, command_id: CommandId) -> Result<Option<String>, Error> {
        let events = self.app.store().look_at_stream(AggregateType::StationCommand, command_id.0, 0).await?;
        Ok(events.first().and_then(|request| request.envelope().ok()).and_then(|envelope| envelope.trace_id))
    }

    /// A command that this connection is about to send.
    pub fn sending(&self, command_id: CommandId) -> Sending {
        Sending { link: self.clone(), command_id, attempted: Attempted::default() }
    }

    /// Records that the command is about to be sent, in one attempt. None: it must not be; it was sent before, is settled, or
    /// has expired.
    pub async fn command_sent(
        &self,
        command_id: CommandId,
        now: DateTime<Utc>,
    ) -> Result<Option<StationRequest>, Error> {
        Ok(self.sending(command_id).record(now).await?.map(|to_send| to_send.request))
    }

    /// Records what came of it.
    pub async fn command_answered(&self, command_id: CommandId, answer: CommandAnswer) -> Result<(), Error> {
        let answer = match answer {
            CommandAnswer::Accepted(answer) => CommandAnswer::Accepted(without_secrets(answer)),
            other => other,
        };
        let actor = match answer {
            CommandAnswer::Accepted(_) | CommandAnswer::Rejected { .. } => Actor::charger(self.charge_point_id),
            CommandAnswer::Failed { .. } | CommandAnswer::TimedOut => Actor::system("ocpp-edge"),
        };
        let work = Answered { link: self.clone(), command_id, answer };
        self.app.work(&self.command_envelope(command_id, actor), Arc::new(work)).await.map(|_| ())
    }

    fn command_envelope(&self, command_id: CommandId, actor: Actor) -> Arc<Envelope> {
        let mut envelope = Envelope::new(self.tenant_id, actor).caused_by(command_id.0).correlated_with(command_id.0);
        envelope.trace_id.clone_from(&self.trace_id);
        Arc::new(envelope)
    }
}

/// A configuration may tell the charger's password, which must not become history.
fn without_secrets(mut answer: Value) -> Value {
    let keys = answer.get_mut("configurationKey").and_then(Value::as_array_mut);
    for entry in keys.into_iter().flatten().filter_map(Value::as_object_mut) {
        let is_secret = entry
            .get("key")
            .and_then(Value::as_str)
            .is_some_and(|key| SECRET_KEYS.iter().any(|secret| secret.eq_ignore_ascii_case(key)));
        if is_secret {
            entry.remove("value");
        }
    }
    answer
}

/// The ids of the events by which it may have been recorded that a command is sent.
type Attempted = Arc<Mutex<Vec<Uuid>>>;

/// What it takes to send a command once: whether the log says so already may be due to an attempt whose outcome was never
/// learned, and then nobody else sends it.
pub struct Sending {
    link: Link,
    command_id: CommandId,
    attempted: Attempted,
}

impl Sending {
    /// Records that the command is about to be sent, now or by an attempt before. None: it must not be; somebody else has sent it,
    /// it is settled, or has expired.
    ///
    /// The request is answered once: whoever has it writes the frame, if there is time for it, and to ask again answers none.
    ///
    /// # Errors
    /// After [`Error::Unavailable`] it may stand in the log all the same: ask again, of the same value.
    pub async fn record(&self, now: DateTime<Utc>) -> Result<Option<ToSend>, Error> {
        let Self { link, command_id, attempted } = self;
        let answer_timeout = link.app.settings().answer_timeout;
        let answer_until = now + answer_timeout;
        let attempted = Arc::clone(attempted);
        let work = Send { link: link.clone(), command_id: *command_id, now, answer_until, attempted };
        let envelope = link.command_envelope(*command_id, Actor::system("ocpp-edge"));
        let recorded = link.app.work(&envelope, Arc::new(work)).await?.0;
        if recorded.is_some() {
            ids(&self.attempted).clear();
        }
        Ok(recorded.map(|(request, answer_until)| ToSend { request, answer_until, left_min: answer_timeout / 2 }))
    }
}

fn ids(attempted: &Attempted) -> MutexGuard<'_, Vec<Uuid>> {
    attempted.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Send {
    link: Link,
    command_id: CommandId,
    now: DateTime<Utc>,
    answer_until: DateTime<Utc>,
    attempted: Attempted,
}

impl Work for Send {
    /// Until when an answer is waited for: what the log says, of which attempt it may be.
    type Output = Option<(StationRequest, DateTime<Utc>)>;

    async fn run(&self, session: &mut Session) -> Result<Self::Output, Error> {
        let id = self.link.charge_point_id;
        let StationCommand { request, state, answer_until, .. } =
            session.load::<StationCommand>(self.command_id).await?.clone();
        if state == CommandState::Sent {
            let answer_until = answer_until.filter(|until| self.now < *until);
            let is_to_be_sent = answer_until.is_some() && self.is_own(session).await?;
            return Ok(request.zip(answer_until).filter(|_| is_to_be_sent));
        }
        let command = StationCommandCommand::Send { now: self.now, answer_until: self.answer_until };
        let events = decide::<StationCommand>(session, self.command_id, id, command).await?;
        self.link.guard(session);
        match events.first() {
            Some(StationCommandEvent::StationCommandSent { .. }) => {
                // Before the append, of which it may never be learned what became of it.
                ids(&self.attempted).extend(session.event_ids::<StationCommand>(self.command_id));
                Ok(request.map(|request| (request, self.answer_until)))
            }
            Some(_) => {
                leave_queue(session, id, self.command_id).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

impl Send {
    /// Whether it was an attempt of this very connection by which the command was recorded as sent, and whether that is still the
    /// newest: what an append's guard sees to otherwise.
    async fn is_own(&self, session: &mut Session) -> Result<bool, Error> {
        let attempted = ids(&self.attempted).clone();
        if attempted.is_empty() {
            return Ok(false);
        }
        if session.load::<ChargePoint>(self.link.charge_point_id).await?.epoch != self.link.epoch {
            return Err(Error::Fenced);
        }
        let events = self.link.app.store().look_at_stream(AggregateType::StationCommand, self.command_id.0, 0).await?;
        Ok(events.iter().any(|event| attempted.contains(&event.event_id)))
    }
}

/// What is settled is no charger's any more.
struct LeaveQueue {
    link: Link,
    command_id: CommandId,
}

impl Work for LeaveQueue {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        leave_queue(session, self.link.charge_point_id, self.command_id).await?;
        self.link.guard(session);
        Ok(())
    }
}

struct Answered {
    link: Link,
    command_id: CommandId,
    answer: CommandAnswer,
}

impl Work for Answered {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let id = self.link.charge_point_id;
        let request = session.load::<StationCommand>(self.command_id).await?.request.clone();
        let command = match self.answer.clone() {
            CommandAnswer::Accepted(answer) => StationCommandCommand::Accept { answer },
            CommandAnswer::Rejected { answer, reason } => StationCommandCommand::Reject { answer, reason },
            CommandAnswer::Failed { reason } => StationCommandCommand::Fail { reason },
            CommandAnswer::TimedOut => StationCommandCommand::TimeOut,
        };
        let accepted = matches!(command, StationCommandCommand::Accept { .. });
        advance(session, id, self.command_id, command).await?;
        if accepted && request.is_some_and(|request| !request.action.has_effect_to_await()) {
            advance(session, id, self.command_id, StationCommandCommand::Done).await?;
        }
        self.link.guard(session);
        Ok(())
    }
}
