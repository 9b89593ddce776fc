//! How commands and starts that came to nothing are ended, and what they held is set free.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{ChargePoint, ChargePointCommand};
use domain::envelope::{Actor, Envelope};
use domain::id::{ChargePointId, CommandId, SessionId, TenantId};
use domain::session::{ChargingSession, SessionCommand};
use domain::station_command::{CommandState, StationCommand, StationCommandCommand};
use event_store::{CommandKey, Session};
use serde_json::Value;
use uuid::Uuid;

use crate::command::Accepted;
use crate::command::Stop;
use crate::work::{Work, decide};
use crate::{Application, Error};

/// Sets an EVSE free from a session that holds it.
pub(crate) async fn release(
    session: &mut Session,
    charge_point_id: ChargePointId,
    session_id: SessionId,
) -> Result<(), Error> {
    let command = ChargePointCommand::Release { session_id };
    decide::<ChargePoint>(session, charge_point_id, charge_point_id, command).await?;
    Ok(())
}

/// Moves a station command on; once it is settled, it leaves its charger's queue.
pub(crate) async fn advance(
    session: &mut Session,
    charge_point_id: ChargePointId,
    command_id: CommandId,
    command: StationCommandCommand,
) -> Result<(), Error> {
    decide::<StationCommand>(session, command_id, charge_point_id, command).await?;
    if session.load::<StationCommand>(command_id).await?.state.is_settled() {
        leave_queue(session, charge_point_id, command_id).await?;
    }
    Ok(())
}

/// A settled command waits for its charger no more.
pub(crate) async fn leave_queue(
    session: &mut Session,
    charge_point_id: ChargePointId,
    command_id: CommandId,
) -> Result<(), Error> {
    let command = ChargePointCommand::SettleCommand { command_id };
    decide::<ChargePoint>(session, charge_point_id, charge_point_id, command).await?;
    Ok(())
}

/// A start came to nothing: its session has failed, holds no EVSE, and its command is not carried out any more.
pub(crate) async fn fail_start(
    session: &mut Session,
    session_id: SessionId,
    (code, detail): (&'static str, &str),
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let command = SessionCommand::FailStart { code, detail: detail.to_owned(), at };
    let failed = conclude_session(session, session_id, command).await?;
    if let Some(charge_point_id) = failed {
        let_go(session, charge_point_id, session_id, detail).await?;
    }
    Ok(())
}

/// What a session that failed before it began holds: its EVSE, and the command that was to begin it.
pub(crate) async fn let_go(
    session: &mut Session,
    charge_point_id: ChargePointId,
    session_id: SessionId,
    reason: &str,
) -> Result<(), Error> {
    release(session, charge_point_id, session_id).await?;
    let command_id = session.load::<ChargingSession>(session_id).await?.command_id;
    if let Some(command_id) = command_id {
        let command = StationCommandCommand::Fail { reason: reason.to_owned() };
        advance(session, charge_point_id, command_id, command).await?;
    }
    Ok(())
}

/// A session is taken for ended: it holds no EVSE, and whether its stop was carried out will not be seen.
pub(crate) async fn presume_ended(
    session: &mut Session,
    session_id: SessionId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let stop_command = session.load::<ChargingSession>(session_id).await?.stop_command_id;
    let ended = conclude_session(session, session_id, SessionCommand::PresumeEnded { at }).await?;
    let Some(charge_point_id) = ended else {
        return Ok(());
    };
    release(session, charge_point_id, session_id).await?;
    if let Some(command_id) = stop_command {
        let reason = "The session was presumed to have ended before the charger said so.".to_owned();
        advance(session, charge_point_id, command_id, StationCommandCommand::Fail { reason }).await?;
    }
    Ok(())
}

/// The charger of the session, if the command changed anything.
async fn conclude_session(
    session: &mut Session,
    session_id: SessionId,
    command: SessionCommand,
) -> Result<Option<ChargePointId>, Error> {
    let state = session.load::<ChargingSession>(session_id).await?;
    let Some(charge_point_id) = state.charge_point_id else {
        return Ok(None);
    };
    let events = decide::<ChargingSession>(session, session_id, charge_point_id, command).await?;
    Ok((!events.is_empty()).then_some(charge_point_id))
}

/// A conclusion that the platform itself draws from the log, of a stated cause, so that drawing it again changes nothing.
#[derive(Debug, Clone)]
pub struct Cause {
    pub tenant_id: TenantId,
    /// The process manager that concludes.
    pub manager: &'static str,
    /// uuid5 of the manager, the event or timer, and the step.
    pub id: Uuid,
    pub correlation_id: Option<Uuid>,
    pub trace_id: Option<String>,
    pub now: DateTime<Utc>,
}

/// What may be concluded.
#[derive(Debug, Clone)]
pub enum Conclusion {
    /// The requested session did not begin.
    StartFailed { session_id: SessionId, code: &'static str, detail: String },
    /// The charger would not stop, or could not be asked.
    StopFailed { session_id: SessionId, command_id: CommandId, detail: String },
    /// The command was never sent and is past its time.
    CommandExpired { charge_point_id: ChargePointId, command_id: CommandId },
    /// It was sent, and no answer came.
    CommandTimedOut { charge_point_id: ChargePointId, command_id: CommandId },
    /// It was accepted, and its effect was not seen in time.
    CommandFailed { charge_point_id: ChargePointId, command_id: CommandId, reason: String },
    /// Nothing was heard of the session since `unheard_since`, or it would not be concluded.
    SessionSilent { session_id: SessionId, unheard_since: DateTime<Utc> },
    /// The start was cancelled, and the charger began all the same.
    StopCancelled { session_id: SessionId, command_id: CommandId },
}

impl Conclusion {
    /// Its name in metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StartFailed { .. } => "start_failed",
            Self::StopFailed { .. } => "stop_failed",
            Self::CommandExpired { .. } => "command_expired",
            Self::CommandTimedOut { .. } => "command_timed_out",
            Self::CommandFailed { .. } => "command_failed",
            Self::SessionSilent { .. } => "session_silent",
            Self::StopCancelled { .. } => "stop_cancelled",
        }
    }
}

/// Appends what follows, once. False: as things are, nothing does.
pub async fn conclude(app: &Application, cause: &Cause, conclusion: Conclusion) -> Result<bool, Error> {
    let mut envelope = Envelope::new(cause.tenant_id, Actor::system(cause.manager)).caused_by(cause.id);
    envelope.correlation_id = cause.correlation_id;
    envelope.trace_id.clone_from(&cause.trace_id);
    let work = Conclude { cause: cause.clone(), conclusion, command_expiry: app.settings().command_expiry };
    app.work(&Arc::new(envelope), Arc::new(work)).await.map(|(_, appended)| appended.is_some())
}

struct Conclude {
    cause: Cause,
    conclusion: Conclusion,
    command_expiry: TimeDelta,
}

impl Work for Conclude {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        self.draw(session).await?;
        if !session.is_empty() {
            session.key(CommandKey {
                scope: format!("manager:{}", self.cause.manager),
                key: self.cause.id.to_string(),
                body_hash: [0; 32],
                answer: Value::Null,
                expires_at: Some(self.cause.now + TimeDelta::days(7)),
            });
        }
        Ok(())
    }
}

impl Conclude {
    async fn draw(&self, session: &mut Session) -> Result<(), Error> {
        let now = self.cause.now;
        match &self.conclusion {
            Conclusion::StartFailed { session_id, code, detail } => {
                fail_start(session, *session_id, (code, detail), now).await
            }
            Conclusion::StopFailed { session_id, command_id, detail } => {
                let command = SessionCommand::FailStop { command_id: *command_id, detail: detail.clone() };
                conclude_session(session, *session_id, command).await.map(|_| ())
            }
            Conclusion::CommandExpired { charge_point_id, command_id } => {
                advance(session, *charge_point_id, *command_id, StationCommandCommand::Expire { now }).await
            }
            Conclusion::CommandTimedOut { charge_point_id, command_id } => {
                // An answer that has just come is an answer.
                if session.load::<StationCommand>(*command_id).await?.state != CommandState::Sent {
                    return Ok(());
                }
                advance(session, *charge_point_id, *command_id, StationCommandCommand::TimeOut).await
            }
            Conclusion::CommandFailed { charge_point_id, command_id, reason } => {
                let command = StationCommandCommand::Fail { reason: reason.clone() };
                advance(session, *charge_point_id, *command_id, command).await
            }
            Conclusion::SessionSilent { session_id, unheard_since } => {
                let state = session.load::<ChargingSession>(*session_id).await?;
                if state.heard_at.is_some_and(|heard_at| heard_at > *unheard_since) {
                    return Ok(());
                }
                presume_ended(session, *session_id, now).await
            }
            Conclusion::StopCancelled { session_id, command_id } => {
                let stop = Stop {
                    session_id: *session_id,
                    context: None,
                    kind: "stop_charging",
                    command_id: *command_id,
                    now,
                    command_expiry: self.command_expiry,
                };
                let _: Accepted = stop.run(session).await?;
                Ok(())
            }
        }
    }
}
