use domain::id::{CommandId, SiteId};
use domain::published_tariff::PublishedTariff;
use domain::refusal::Refusal;
use domain::site::{Site, SiteCommand, SiteDetails};
use event_store::Session;

use super::Accepted;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator adds a site, or changes one.
#[derive(Debug, Clone)]
pub struct RegisterSite {
    /// None: a new one.
    pub site_id: Option<SiteId>,
    pub details: SiteDetails,
}

pub async fn register_site(
    app: &Application,
    context: &CommandContext,
    request: RegisterSite,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let command_id = context.command_id();
    let site_id = request.site_id.unwrap_or_else(SiteId::generate);
    app.command(context, command_id, Register { site_id, request, command_id }).await
}

struct Register {
    site_id: SiteId,
    request: RegisterSite,
    command_id: CommandId,
}

impl Work for Register {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let details = self.request.details.clone();
        if let Some(tariff_id) = details.tariff_id {
            let published = session.load::<PublishedTariff>(tariff_id).await?;
            match &published.tariff {
                None => return Err(Refusal::invalid("tariff_id", "there is no such tariff").into()),
                Some(tariff) if tariff.currency != details.currency => {
                    return Err(Refusal::invalid("tariff_id", "the tariff is in another currency than the site").into());
                }
                Some(_) => {}
            }
        }
        let command = match self.request.site_id {
            None => SiteCommand::Register(details),
            Some(_) => SiteCommand::Change(details),
        };
        decide::<Site>(session, self.site_id, self.site_id, command).await?;
        Ok(Accepted { site_id: Some(self.site_id), ..Accepted::of(self.command_id) })
    }
}
