use domain::driver::{Driver, DriverCommand};
use domain::id::{CommandId, DriverId, PlanId};
use domain::plan::Plan;
use domain::refusal::Refusal;
use event_store::Session;

use super::Accepted;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator puts a driver on a plan, which ends the one before.
#[derive(Debug, Clone)]
pub struct ActivatePlan {
    pub driver_id: DriverId,
    pub plan_id: PlanId,
}

pub async fn activate_plan(
    app: &Application,
    context: &CommandContext,
    request: ActivatePlan,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let command_id = context.command_id();
    app.command(context, command_id, Activate { request, command_id }).await
}

struct Activate {
    request: ActivatePlan,
    command_id: CommandId,
}

impl Work for Activate {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let ActivatePlan { driver_id, plan_id } = self.request;
        if session.load::<Driver>(driver_id).await?.driver_id.is_none() {
            return Err(Refusal::DriverUnknown.into());
        }
        if session.load::<Plan>(plan_id).await?.details.is_none() {
            return Err(Refusal::invalid("plan_id", "there is no such plan").into());
        }
        decide::<Driver>(session, driver_id, driver_id, DriverCommand::ActivatePlan { plan_id }).await?;
        Ok(Accepted { driver_id: Some(driver_id), plan_id: Some(plan_id), ..Accepted::of(self.command_id) })
    }
}
