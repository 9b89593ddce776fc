use chrono::{DateTime, Utc};
use domain::driver::Driver;
use domain::id::{CommandId, DriverId, TokenId};
use domain::refusal::Refusal;
use domain::token::{Token, TokenCommand, TokenDetails};
use event_store::Session;

use super::Accepted;
use super::remote::TOKEN_CHARS_MAX;
use crate::vault::Subject;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator gives a driver a card, fob or other token.
#[derive(Debug, Clone)]
pub struct RegisterToken {
    pub driver_id: DriverId,
    /// `IdTokenEnumType` of OCPP 2.0.1.
    pub kind: String,
    /// In clear; it is sealed before it goes anywhere.
    pub value: String,
    pub expires_at: Option<DateTime<Utc>>,
}

pub async fn register_token(
    app: &Application,
    context: &CommandContext,
    request: RegisterToken,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let value = request.value.trim();
    if value.is_empty() || value.chars().count() > TOKEN_CHARS_MAX || value.chars().any(char::is_control) {
        let refusal = Refusal::invalid("value", "has 1 to 36 printable characters");
        return app.refuse(context, refusal.into()).await;
    }
    if request.kind.is_empty() || request.kind.chars().count() > 20 {
        let refusal = Refusal::invalid("type", "is a word such as ISO14443 (OCPP 2.0.1, IdTokenEnumType)");
        return app.refuse(context, refusal.into()).await;
    }
    let token_id = app.tokens().find_or_make(context.caller.tenant_id, value).await?;
    let value = app.vault().seal(Subject::Driver(request.driver_id), value).await?;
    let details = TokenDetails {
        token_id,
        kind: request.kind,
        value,
        driver_id: Some(request.driver_id),
        group: Some(Driver::group_tag(request.driver_id)),
        expires_at: request.expires_at,
    };
    let command_id = context.command_id();
    let work = Register { token_id, driver_id: request.driver_id, details, command_id };
    app.command(context, command_id, work).await
}

struct Register {
    token_id: TokenId,
    driver_id: DriverId,
    details: TokenDetails,
    command_id: CommandId,
}

impl Work for Register {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        if !session.load::<Driver>(self.driver_id).await?.is_known() {
            return Err(Refusal::DriverUnknown.into());
        }
        // Whoever is erased at this moment gets no token any more.
        session.guard_unchanged::<Driver>(self.driver_id).await?;
        let command = TokenCommand::Register(self.details.clone());
        decide::<Token>(session, self.token_id, self.token_id, command).await?;
        Ok(Accepted { token_id: Some(self.token_id), driver_id: Some(self.driver_id), ..Accepted::of(self.command_id) })
    }
}
