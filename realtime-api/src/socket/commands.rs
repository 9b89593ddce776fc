//! Commands over the socket: appended like their HTTP twins, idempotent in the same namespace.

use application::auth::Caller;
use application::command::{self, Accepted, Target};
use application::{CommandContext, Idempotency};
use domain::id::{ConnectorId, EvseId};
use domain::refusal::Refusal;
use schema::api::command::{CommandBody, StartCharging, StopCharging};
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
    let target = target(request)?;
    let start = command::StartCharging { target };
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
    let chars = command_id.map(|id| id.chars().count());
    if chars.is_some_and(|count| !(1..=COMMAND_ID_CHARS_MAX).contains(&count)) {
        let why = format!("has 1 to {COMMAND_ID_CHARS_MAX} characters");
        return Err(Refusal::invalid("command_id", why).into());
    }
    // As command-service does it: what a client sends again by the other way is the same request.
    let body_hash = || api.application.vault().index_hash("command body", &body.canonical(None));
    Ok(CommandContext {
        caller,
        idempotency: command_id.map(|key| Idempotency { key: key.to_owned(), body_hash: body_hash() }),
        trace_id: Some(TraceId::random().to_string()),
        now: api.now(),
    })
}

/// An `evse_uid` says it all; a charger needs the EVSE, or the connector by its own number.
fn target(request: StartCharging) -> Result<Target, Refusal> {
    let StartCharging { charger_id, connector_id, evse_id, evse_uid } = request;
    match (evse_uid, charger_id, evse_id, connector_id) {
        (Some(uid), None, None, None) => {
            let uid = uid.parse().map_err(|_| Refusal::invalid("evse_uid", "is not one that a charger has"))?;
            Ok(Target::EvseUid(uid))
        }
        (Some(_), ..) => Err(Refusal::invalid("evse_uid", "goes alone: it names the charger and the EVSE")),
        (None, Some(charger_id), Some(evse_id), _) => Ok(Target::Evse { charger_id, evse_id: EvseId(evse_id.get()) }),
        (None, Some(charger_id), None, Some(connector_id)) => {
            Ok(Target::Connector { charger_id, connector_id: ConnectorId(connector_id.get()) })
        }
        (None, Some(_), None, None) => {
            Err(Refusal::invalid("connector_id", "or evse_id must say where at the charger"))
        }
        (None, None, ..) => Err(Refusal::invalid("charger_id", "or evse_uid must say where to charge")),
    }
}
