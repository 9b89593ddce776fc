use domain::id::{CommandId, PlanId};
use domain::plan::{Plan, PlanCommand, PlanDetails};
use domain::published_tariff::PublishedTariff;
use domain::refusal::Refusal;
use event_store::Session;

use super::Accepted;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator publishes a plan, or a new version of one.
#[derive(Debug, Clone)]
pub struct PublishPlan {
    /// None: a new one.
    pub plan_id: Option<PlanId>,
    pub details: PlanDetails,
}

pub async fn publish_plan(
    app: &Application,
    context: &CommandContext,
    request: PublishPlan,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let command_id = context.command_id();
    let plan_id = request.plan_id.unwrap_or_else(PlanId::generate);
    let work = Publish { plan_id, is_new: request.plan_id.is_none(), details: request.details, command_id };
    app.command(context, command_id, work).await
}

struct Publish {
    plan_id: PlanId,
    is_new: bool,
    details: PlanDetails,
    command_id: CommandId,
}

impl Work for Publish {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        if let Some(tariff_id) = self.details.tariff_id
            && session.load::<PublishedTariff>(tariff_id).await?.tariff.is_none()
        {
            return Err(Refusal::invalid("tariff_id", "there is no such tariff").into());
        }
        if !self.is_new && session.load::<Plan>(self.plan_id).await?.details.is_none() {
            return Err(Refusal::invalid("plan_id", "there is no such plan").into());
        }
        let command = PlanCommand::Publish(self.details.clone());
        decide::<Plan>(session, self.plan_id, self.plan_id, command).await?;
        Ok(Accepted { plan_id: Some(self.plan_id), ..Accepted::of(self.command_id) })
    }
}
