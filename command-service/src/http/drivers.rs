//! What an operator does to a driver.

use application::command;
use domain::id::DriverId;
use domain::refusal::Refusal;
use schema::api::command::{ActivatePlan, RegisterToken};

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Put a driver on a plan, which ends the one before.
#[utoipa::path(post, path = "/api/drivers/{driver_id}/plan", tag = "operators", request_body = ActivatePlan,
    params(("driver_id" = uuid::Uuid, Path), KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn activate_plan(command: Command<ActivatePlan>) -> Answer {
    let driver_id = driver(&command.target)?;
    let request = command::ActivatePlan { driver_id, plan_id: command.body.plan_id };
    let accepted = command::activate_plan(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

/// Give a driver a card, fob or other token.
#[utoipa::path(post, path = "/api/drivers/{driver_id}/tokens", tag = "operators", request_body = RegisterToken,
    params(("driver_id" = uuid::Uuid, Path), KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn register_token(command: Command<RegisterToken>) -> Answer {
    let driver_id = driver(&command.target)?;
    let RegisterToken { kind, value, expires_at } = &command.body;
    let value = value.expose().to_owned();
    let request = command::RegisterToken { driver_id, kind: kind.clone(), value, expires_at: *expires_at };
    let accepted = command::register_token(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

fn driver(target: &str) -> Result<DriverId, Refusal> {
    target.parse().map_err(|_| Refusal::DriverUnknown)
}
