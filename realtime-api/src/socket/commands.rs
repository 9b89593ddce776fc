//! Commands over the socket: appended like their HTTP twins, idempotent in the same namespace.

use application::auth::Caller;
use application::command::{self, Accepted};
use application::{CommandContext, Idempotency};
use domain::refusal::Refusal;
use schema::api::command::{BODY_HASH_PURPOSE, CommandBody, StartCharging, StopCharging};
use service_host::TraceId;

use crate::failed::Failed;
use crate::state::Api;

/// The longest `command_id`: the same as of `Idempotency-Key`.
const COMMAND_ID_CHARS_MAX: usize = 255;

pub async fn start(
    api: &Api,
    caller: Caller,
    command_id: Option<&str>,
    request: StartCharging,
) -> Result<Accepted, Failed> {
    let context = context(api, caller, command_id, &request)?;
    let start = command::StartCharging { target: request.target()? };
    Ok(command::start_charging(&api.application, &context, start).await?)
}

pub async fn stop(
    api: &Api,
    caller: Caller,
    command_id: Option<&str>,
    request: StopCharging,
) -> Result<Accepted, Failed> {
    let context = context(api, caller, command_id, &request)?;
    let stop = command::StopCharging { session_id: request.session_id };
    Ok(command::stop_charging(&api.application, &context, stop).await?)
}

fn context(
    api: &Api,
    caller: Caller,
    command_id: Option<&str>,
    body: &impl CommandBody,
) -> Result<CommandContext, Failed> {
    api.application.not_a_replay()?;
    let chars = command_id.map(|id| id.chars().count());
    if chars.is_some_and(|count| !(1..=COMMAND_ID_CHARS_MAX).contains(&count)) {
        let why = format!("has 1 to {COMMAND_ID_CHARS_MAX} characters");
        return Err(Refusal::invalid("command_id", why).into());
    }
    // As command-service does it: what a client sends again by the other way is the same request.
    let body_hash = || api.application.vault().index_hash(BODY_HASH_PURPOSE, &body.canonical(None));
    Ok(CommandContext {
        caller,
        idempotency: command_id.map(|key| Idempotency { key: key.to_owned(), body_hash: body_hash() }),
        trace_id: Some(TraceId::random().to_string()),
        now: api.now(),
    })
}
