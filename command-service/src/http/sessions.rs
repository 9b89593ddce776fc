//! What a driver does.

use application::command;
use schema::api::command::{StartCharging, StopCharging};

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Start charging.
///
/// A driver who has a request or a session on this EVSE already is answered with that one.
#[utoipa::path(post, path = "/api/sessions/start", tag = "drivers", request_body = StartCharging,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn start_charging(command: Command<StartCharging>) -> Answer {
    let request = command::StartCharging { target: command.body.target()? };
    let accepted = command::start_charging(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

/// Stop charging.
#[utoipa::path(post, path = "/api/sessions/stop", tag = "drivers", request_body = StopCharging,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn stop_charging(command: Command<StopCharging>) -> Answer {
    let request = command::StopCharging { session_id: command.body.session_id };
    let accepted = command::stop_charging(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}
