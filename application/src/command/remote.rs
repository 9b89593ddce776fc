use domain::id::{ChargePointId, ConnectorId, SessionId, TransactionId};
use domain::refusal::Refusal;

use super::start_charging::{Payer, Place, Start, charge_point_of};
use super::{Accepted, stop_session};
use crate::{Application, CommandContext, Error};

/// OCPP 2.0.1's identifierString of an IdToken.
pub(super) const TOKEN_CHARS_MAX: usize = 36;

/// An operator starts a session.
#[derive(Debug, Clone)]
pub struct RemoteStart {
    pub charger_id: String,
    pub connector_id: ConnectorId,
    /// Whose token it is for. The charger is sent a fresh one-off tag all the same, of the token's group.
    pub id_tag: Option<String>,
}

/// An operator stops a session: by its id, or as its charger names it.
#[derive(Debug, Clone)]
pub enum RemoteStop {
    Session(SessionId),
    Transaction { charger_id: String, transaction_id: TransactionId },
}

pub async fn remote_start(
    app: &Application,
    context: &CommandContext,
    request: RemoteStart,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let (charge_point_id, payer) = match parties(app, context, &request).await {
        Ok(parties) => parties,
        Err(Error::Refused(refusal)) => return app.refuse(context, refusal.into()).await,
        Err(error) => return Err(error),
    };
    let start = Start {
        charge_point_id,
        place: Place::Connector(request.connector_id),
        payer,
        kind: "remote_start",
        command_id: context.command_id(),
        now: context.now,
        start_deadline: app.settings().start_deadline,
        command_expiry: app.settings().command_expiry,
    };
    app.command(context, start.command_id, start).await
}

async fn parties(
    app: &Application,
    context: &CommandContext,
    request: &RemoteStart,
) -> Result<(ChargePointId, Payer), Error> {
    let payer = match request.id_tag.as_deref() {
        None => Payer::Nobody,
        Some(tag) if tag.is_empty() || tag.chars().count() > TOKEN_CHARS_MAX => {
            return Err(Refusal::invalid("id_tag", "has 1 to 36 characters").into());
        }
        Some(tag) => Payer::Token(app.tokens().find_or_make(context.caller.tenant_id, tag).await?),
    };
    Ok((charge_point_of(app, context, &request.charger_id).await?, payer))
}

pub async fn remote_stop(app: &Application, context: &CommandContext, request: RemoteStop) -> Result<Accepted, Error> {
    context.only_operators()?;
    let session_id = match request {
        RemoteStop::Session(session_id) => Ok(session_id),
        RemoteStop::Transaction { charger_id, transaction_id } => {
            if let Some(accepted) = app.answered_before(context).await? {
                return Ok(accepted);
            }
            session_of(app, context, &charger_id, &transaction_id).await
        }
    };
    match session_id {
        Ok(session_id) => stop_session(app, context, session_id, "remote_stop").await,
        Err(Error::Refused(refusal)) => app.refuse(context, refusal.into()).await,
        Err(error) => Err(error),
    }
}

async fn session_of(
    app: &Application,
    context: &CommandContext,
    charger_id: &str,
    transaction_id: &TransactionId,
) -> Result<SessionId, Error> {
    let charge_point_id = charge_point_of(app, context, charger_id).await?;
    let session_id = app.transactions().find(charge_point_id, transaction_id).await?;
    Ok(session_id.ok_or(Refusal::SessionUnknown)?)
}
