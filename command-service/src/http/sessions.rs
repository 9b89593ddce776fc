//! What a driver does.

use application::command;
use domain::id::{ConnectorId, EvseId};
use domain::refusal::Refusal;
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
    let request = command::StartCharging { target: target(&command.body)? };
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

/// An `evse_uid` says it all; a charger needs the EVSE, or the connector by its own number.
fn target(body: &StartCharging) -> Result<command::Target, Refusal> {
    let StartCharging { charger_id, connector_id, evse_id, evse_uid } = body;
    match (evse_uid, charger_id) {
        (Some(_), Some(_)) => Err(Refusal::invalid("charger_id", "goes without evse_uid, which names the charger")),
        (Some(uid), None) => {
            if evse_id.is_some() || connector_id.is_some() {
                let field = if evse_id.is_some() { "evse_id" } else { "connector_id" };
                return Err(Refusal::invalid(field, "goes without evse_uid, which names the EVSE"));
            }
            let uid = uid.parse().map_err(|_| Refusal::invalid("evse_uid", "is not one that a charger has"))?;
            Ok(command::Target::EvseUid(uid))
        }
        (None, Some(charger_id)) => match (evse_id, connector_id) {
            // In 2.x a connector is a part of the EVSE, which is what is claimed.
            (Some(evse_id), _) => {
                Ok(command::Target::Evse { charger_id: charger_id.clone(), evse_id: EvseId(evse_id.get()) })
            }
            (None, Some(connector_id)) => Ok(command::Target::Connector {
                charger_id: charger_id.clone(),
                connector_id: ConnectorId(connector_id.get()),
            }),
            (None, None) => Err(Refusal::invalid("connector_id", "or evse_id must say where at the charger")),
        },
        (None, None) => Err(Refusal::invalid("charger_id", "or evse_uid must say where to charge")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_named_in_one_of_three_ways() {
        let uid = "018f4b4c-0000-7000-8000-000000000001.2";
        let charger_id = || "CP001".to_owned();
        let table = [
            (
                json!({"charger_id": "CP001", "connector_id": 2}),
                Ok(command::Target::Connector { charger_id: charger_id(), connector_id: ConnectorId(2) }),
            ),
            (
                json!({"charger_id": "CP001", "evse_id": 2}),
                Ok(command::Target::Evse { charger_id: charger_id(), evse_id: EvseId(2) }),
            ),
            (
                json!({"charger_id": "CP001", "evse_id": 2, "connector_id": 1}),
                Ok(command::Target::Evse { charger_id: charger_id(), evse_id: EvseId(2) }),
            ),
            (json!({"evse_uid": uid}), Ok(command::Target::EvseUid(uid.parse().unwrap()))),
            (json!({"evse_uid": "CP001.1"}), Err("evse_uid")),
            (json!({"evse_uid": uid, "charger_id": "CP001"}), Err("charger_id")),
            (json!({"evse_uid": uid, "connector_id": 1}), Err("connector_id")),
            (json!({"evse_uid": uid, "evse_id": 1}), Err("evse_id")),
            (json!({"charger_id": "CP001"}), Err("connector_id")),
            (json!({"connector_id": 1}), Err("charger_id")),
            (json!({}), Err("charger_id")),
        ];
        for (body, expected) in table {
            let parsed = target(&serde_json::from_value(body.clone()).unwrap());
            let parsed = parsed.map_err(|refusal| match refusal {
                Refusal::Invalid { field, .. } => field,
                other => panic!("{other}"),
            });
            assert_eq!(parsed, expected, "{body}");
        }
    }
}
