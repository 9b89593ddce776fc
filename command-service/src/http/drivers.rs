//! What an operator does to a driver, and who is erased.

use application::{command, erasure};
use domain::id::DriverId;
use domain::refusal::Refusal;
use schema::api::command::{ActivatePlan, EraseDriver, EraseMe, RegisterToken};
use schema::api::person::Erased;
use service_host::Json;

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};
use super::problem::Failed;

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

/// Erase a driver.
///
/// Their account, their keys and what is open on their devices are destroyed; access tokens stop working within a second or
/// two. What was charged stays, under an id that stands for nobody. Can't be undone. To do it again completes what was cut
/// off. While a session of theirs is open it is refused: stop it first (`POST /api/charging/remote_stop`).
#[utoipa::path(post, path = "/api/drivers/{driver_id}/erase", tag = "operators", request_body = Option<EraseDriver>,
    params(("driver_id" = uuid::Uuid, Path)), responses((status = 200, body = Erased), Refusals))]
pub(super) async fn erase_driver(command: Command<EraseDriver>) -> Result<Json<Erased>, Failed> {
    let driver_id = driver(&command.target)?;
    Ok(Json(erased(erasure::erase_driver(command.application(), &command.context, driver_id).await?)))
}

/// Erase yourself.
///
/// As an operator would do it. The caller's access token is good for nothing afterwards.
#[utoipa::path(post, path = "/api/me/erase", tag = "drivers", request_body = Option<EraseMe>,
    responses((status = 200, body = Erased), Refusals))]
pub(super) async fn erase_me(command: Command<EraseMe>) -> Result<Json<Erased>, Failed> {
    let own = command.context.caller.driver_id();
    let driver_id = own.ok_or(Refusal::Forbidden("Operators' accounts are not erased this way."))?;
    Ok(Json(erased(erasure::erase_driver(command.application(), &command.context, driver_id).await?)))
}

fn erased(done: erasure::Erased) -> Erased {
    Erased {
        driver_id: done.driver_id.to_string(),
        position: done.position.0,
        tokens: done.tokens,
        exports_in_clear: done.exports_in_clear.iter().map(erasure::ExportInClear::told).collect(),
    }
}

fn driver(target: &str) -> Result<DriverId, Refusal> {
    target.parse().map_err(|_| Refusal::DriverUnknown)
}
