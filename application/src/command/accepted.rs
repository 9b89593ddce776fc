use std::sync::Arc;

use domain::id::{CommandId, DriverId, PlanId, SessionId, SiteId, TariffId, TokenId};
use domain::refusal::Refusal;
use event_store::{Append, Appended, Session};
use schema::log::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::work::Work;
use crate::{Application, CommandContext, Error};

/// The answer to a command that was taken: what is to come of it will be seen at its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub command_id: CommandId,
    pub position: Position,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub charger_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site_id: Option<SiteId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tariff_id: Option<TariffId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan_id: Option<PlanId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub driver_id: Option<DriverId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token_id: Option<TokenId>,
}

impl Accepted {
    pub(crate) fn of(command_id: CommandId) -> Self {
        Self {
            command_id,
            position: Position::START,
            session_id: None,
            charger_id: None,
            site_id: None,
            tariff_id: None,
            plan_id: None,
            driver_id: None,
            token_id: None,
        }
    }
}

/// A command's work, under the client's key.
struct Keyed<W> {
    work: Arc<W>,
    context: CommandContext,
}

impl<W: Work<Output = Accepted>> Work for Keyed<W> {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let accepted = self.work.run(session).await?;
        if let Some(key) = self.context.key(json!({ "accepted": accepted })) {
            session.key(key);
        }
        Ok(accepted)
    }
}

impl Application {
    /// Does a command: the first under its key; the same again gets the first answer, a refusal too.
    pub(crate) async fn command<W: Work<Output = Accepted>>(
        &self,
        context: &CommandContext,
        command_id: CommandId,
        work: W,
    ) -> Result<Accepted, Error> {
        self.not_a_replay()?;
        let envelope = context.envelope(command_id);
        let keyed = Keyed { work: Arc::new(work), context: context.clone() };
        match self.work(&envelope, Arc::new(keyed)).await {
            Ok((_, Some(Appended::Replayed { answer, position }))) => answered(answer, position),
            Ok((accepted, Some(Appended::Committed { position, .. }))) => Ok(Accepted { position, ..accepted }),
            Ok((accepted, None)) => Ok(Accepted { position: self.store().head().await?.0, ..accepted }),
            Err(Error::Refused(refusal)) => self.refuse(context, refusal.into()).await,
            Err(error) => Err(error),
        }
    }

    /// Refuses what would change something, where a replay is shown.
    ///
    /// # Errors
    /// The refusal.
    pub fn not_a_replay(&self) -> Result<(), Refusal> {
        if self.settings().replay {
            return Err(Refusal::Forbidden("This is a replay: it shows what happened, and takes no commands."));
        }
        Ok(())
    }

    /// What was answered under the command's key, if it was given before.
    ///
    /// Asked before anything else, so that a repeated command does not find its own effect in its way.
    pub(crate) async fn answered_before(&self, context: &CommandContext) -> Result<Option<Accepted>, Error> {
        self.not_a_replay()?;
        let Some(idempotency) = &context.idempotency else {
            return Ok(None);
        };
        match self.store().lookup(&context.scope(), &idempotency.key).await? {
            Some(before) if before.body_hash == idempotency.body_hash => {
                answered(before.answer, before.position).map(Some)
            }
            Some(_) => Err(Error::IdempotencyConflict),
            None => Ok(None),
        }
    }

    /// Records the refusal under the command's key, and answers with whatever stands there: the same command may have been
    /// taken at the same moment, and this one have met its effect.
    pub(crate) async fn refuse(&self, context: &CommandContext, error: Error) -> Result<Accepted, Error> {
        let Some(key) = context.key(json!({ "refused": Problem::from(&error) })) else {
            return Err(error);
        };
        match self.store().append(Append { key: Some(key), ..Append::default() }).await? {
            Appended::Committed { .. } => Err(error),
            Appended::Replayed { answer, position } => answered(answer, position),
        }
    }
}

fn answered(mut answer: Value, position: Position) -> Result<Accepted, Error> {
    if let Ok(problem) = serde_json::from_value::<Problem>(answer["refused"].take()) {
        return Err(Error::RefusedBefore(problem));
    }
    let accepted: Accepted = serde_json::from_value(answer["accepted"].take()).map_err(Error::unavailable)?;
    Ok(Accepted { position, ..accepted })
}
