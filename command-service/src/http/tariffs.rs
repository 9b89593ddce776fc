//! Tariffs and plans, as an operator publishes them.

use application::command;
use domain::plan::PlanDetails;
use domain::tariff::Tariff;
use schema::api::command::{PublishPlan, PublishTariff};
use service_host::Problem;

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Publish a tariff, or a new version of one.
///
/// Sessions under way keep the version that they began with.
#[utoipa::path(post, path = "/api/tariffs", tag = "operators", request_body = PublishTariff,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn publish_tariff(command: Command<PublishTariff>) -> Answer {
    let (tariff_id, name) = (command.body.tariff_id, command.body.name.clone());
    let tariff = Tariff::from(command.body.clone());
    // Here, where the path to the field can be told as it is.
    tariff.validate().map_err(|error| Problem::invalid_field(&error.field, format!("{error}.")))?;
    let request = command::PublishTariff { tariff_id, name, tariff };
    let accepted = command::publish_tariff(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

/// Publish a plan, or a new version of one.
#[utoipa::path(post, path = "/api/plans", tag = "operators", request_body = PublishPlan,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn publish_plan(command: Command<PublishPlan>) -> Answer {
    let PublishPlan { plan_id, name, tariff_id } = command.body.clone();
    let request = command::PublishPlan { plan_id, details: PlanDetails { name, tariff_id } };
    let accepted = command::publish_plan(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}
