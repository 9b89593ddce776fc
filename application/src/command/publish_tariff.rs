use domain::id::{CommandId, TariffId};
use domain::published_tariff::{PublishedTariff, TariffCommand};
use domain::refusal::Refusal;
use domain::tariff::Tariff;
use event_store::Session;

use super::Accepted;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator publishes a tariff, or a new version of one. Sessions under way keep the version that they began with.
#[derive(Debug, Clone)]
pub struct PublishTariff {
    /// None: a new one.
    pub tariff_id: Option<TariffId>,
    pub name: String,
    pub tariff: Tariff,
}

pub async fn publish_tariff(
    app: &Application,
    context: &CommandContext,
    request: PublishTariff,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let command_id = context.command_id();
    let tariff_id = request.tariff_id.unwrap_or_else(TariffId::generate);
    app.command(context, command_id, Publish { tariff_id, request, command_id }).await
}

struct Publish {
    tariff_id: TariffId,
    request: PublishTariff,
    command_id: CommandId,
}

impl Work for Publish {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let is_new = self.request.tariff_id.is_none();
        if !is_new && session.load::<PublishedTariff>(self.tariff_id).await?.tariff.is_none() {
            return Err(Refusal::invalid("tariff_id", "there is no such tariff").into());
        }
        let command = TariffCommand::Publish { name: self.request.name.clone(), tariff: self.request.tariff.clone() };
        decide::<PublishedTariff>(session, self.tariff_id, self.tariff_id, command).await?;
        Ok(Accepted { tariff_id: Some(self.tariff_id), ..Accepted::of(self.command_id) })
    }
}
