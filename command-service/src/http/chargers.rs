//! Chargers, as an operator makes them known and asks something of them.

use application::command;
use application::credential::CanonicalPassword;
use domain::id::{ChargePointIdentity, ConnectorId, EvseId};
use domain::outlet;
use domain::refusal::Refusal;
use schema::api::account::Secret;
use schema::api::command::{Connector, Evse, RegisterCharger, StationCommand};
use serde_json::Value;

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};
use super::problem::Failed;

/// OCPP's BasicAuthPassword (2.0.1 part 2, 2.1.21), which security profiles of 1.6 share.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=40;
const PLUG_CHARS_MAX: usize = 64;

/// Register a charger.
///
/// From then on it may connect, with the password if there is one. Again for the same `charger_id`: already-exists.
#[utoipa::path(post, path = "/api/chargers", tag = "operators", request_body = RegisterCharger,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn register_charger(command: Command<RegisterCharger>) -> Answer {
    let RegisterCharger { charger_id, password, site_id, evses } = &command.body;
    let identity =
        ChargePointIdentity::parse(charger_id).map_err(|error| Refusal::invalid("charger_id", error.to_string()))?;
    let evses = evses.iter().flatten().map(evse).collect::<Result<_, Refusal>>()?;
    let credential = match password {
        Some(password) => Some(credential(&command, password).await?),
        None => None,
    };
    let request = command::RegisterCharger { identity, credential, site_id: *site_id, evses };
    let accepted = command::register_charger(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

/// Ask something of a charger, in the words of its OCPP version.
///
/// `Reset`, `UnlockConnector`, `ChangeAvailability`, `GetConfiguration`, `ChangeConfiguration`, `TriggerMessage`,
/// `ClearCache`. What comes of it is seen at `GET /api/commands/{id}` and on the WebSocket.
#[utoipa::path(post, path = "/api/chargers/{charger_id}/commands", tag = "operators", request_body = StationCommand,
    params(("charger_id" = String, Path), KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn send_station_command(command: Command<StationCommand>) -> Answer {
    let StationCommand { action, payload } = &command.body;
    let action = command::parse_action(action, &Value::Object(payload.clone()))?;
    let request = command::SendStationCommand { charger_id: command.target.clone(), action };
    let accepted = command::send_station_command(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

async fn credential(command: &Command<RegisterCharger>, password: &Secret) -> Result<String, Failed> {
    let length = password.expose().chars().count();
    if !PASSWORD_CHARS.contains(&length) {
        return Err(Refusal::invalid("password", "has 8 to 40 characters").into());
    }
    let password = CanonicalPassword::of(password.expose().as_bytes());
    command.api.accounts.hasher().hash_for_charger(password).await.map_err(|error| (&error).into())
}

fn evse(body: &Evse) -> Result<outlet::Evse, Refusal> {
    let connectors = body.connectors.iter().map(connector).collect::<Result<_, _>>()?;
    Ok(outlet::Evse { evse_id: EvseId(body.evse_id.get()), connectors })
}

fn connector(body: &Connector) -> Result<outlet::Connector, Refusal> {
    let fits = |plug: &String| (1..=PLUG_CHARS_MAX).contains(&plug.chars().count());
    if !body.kind.as_ref().is_none_or(fits) {
        return Err(Refusal::invalid("evses", "has a connector whose type is not 1 to 64 characters"));
    }
    let connector_id = ConnectorId(body.connector_id.get());
    Ok(outlet::Connector { connector_id, kind: body.kind.clone(), max_power_w: body.max_power_w })
}
