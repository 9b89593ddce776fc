use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::ChargePoint;
use domain::id::{CommandId, SessionId, TransactionId};
use domain::refusal::Refusal;
use domain::session::{ChargingSession, SessionCommand, SessionEvent, SessionState};
use domain::station_command::{StationAction, StationRequest};
use event_store::Session;

use super::Accepted;
use super::start_charging::queue;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// A driver wants to stop their own session, an operator any.
#[derive(Debug, Clone)]
pub struct StopCharging {
    pub session_id: SessionId,
}

/// Asks the charger to stop. A session that has not begun is cancelled.
pub async fn stop_charging(
    app: &Application,
    context: &CommandContext,
    request: StopCharging,
) -> Result<Accepted, Error> {
    stop_session(app, context, request.session_id, "stop_charging").await
}

pub(crate) async fn stop_session(
    app: &Application,
    context: &CommandContext,
    session_id: SessionId,
    kind: &'static str,
) -> Result<Accepted, Error> {
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let stop = Stop {
        session_id,
        context: Some(context.clone()),
        kind,
        command_id: context.command_id(),
        now: context.now,
        command_expiry: app.settings().command_expiry,
    };
    app.command(context, stop.command_id, stop).await
}

pub(crate) struct Stop {
    pub session_id: SessionId,
    /// Whose right to stop it is checked; none: the system's own decision.
    pub context: Option<CommandContext>,
    pub kind: &'static str,
    pub command_id: CommandId,
    pub now: DateTime<Utc>,
    pub command_expiry: TimeDelta,
}

impl Work for Stop {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let state = session.load::<ChargingSession>(self.session_id).await?;
        let Some(charge_point_id) = state.charge_point_id else {
            return Err(Refusal::SessionUnknown.into());
        };
        if let Some(context) = &self.context
            && !context.caller.is_operator()
            && (state.driver_id.is_none() || state.driver_id != context.caller.driver_id())
        {
            // Somebody else's session is as unknown as none.
            return Err(Refusal::SessionUnknown.into());
        }
        let (before, transaction_id) = (state.state, state.transaction_id.clone());
        let asked_before = state.stop_command_id;
        let online = session.load::<ChargePoint>(charge_point_id).await?.online;
        // The order of refusals: the charger must be there before the session's own state counts.
        if before == SessionState::Active && !online {
            return Err(Refusal::ChargerOffline.into());
        }
        let command = SessionCommand::RequestStop { command_id: self.command_id, at: self.now };
        let events = decide::<ChargingSession>(session, self.session_id, charge_point_id, command).await?;
        let accepted = Accepted { session_id: Some(self.session_id), ..Accepted::of(self.command_id) };
        match (events.first(), transaction_id) {
            (Some(SessionEvent::StopRequested { .. }), Some(transaction_id)) => {
                queue(session, self.request(charge_point_id, transaction_id)).await?;
                Ok(accepted)
            }
            // Cancelled before it began: whoever waits for the EVSE can have it, and the charger is not asked any more.
            (Some(_), _) => {
                let reason = "The start was cancelled before charging began.";
                crate::settle::let_go(session, charge_point_id, self.session_id, reason).await?;
                Ok(accepted)
            }
            (None, _) => Ok(Accepted { command_id: asked_before.unwrap_or(self.command_id), ..accepted }),
        }
    }
}

impl Stop {
    fn request(&self, charge_point_id: domain::id::ChargePointId, transaction_id: TransactionId) -> StationRequest {
        StationRequest {
            command_id: self.command_id,
            charge_point_id,
            kind: self.kind.to_owned(),
            action: StationAction::RemoteStop { transaction_id },
            session_id: Some(self.session_id),
            requested_at: self.now,
            expires_at: self.now + self.command_expiry,
        }
    }
}
