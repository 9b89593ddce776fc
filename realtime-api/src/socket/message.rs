//! A message of a client, read so that what does not fit is named as the HTTP twins name it.

use schema::api::socket::ClientAction;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use service_host::{Json, Problem};

/// What the client wants. `members`: the message without its `id`.
///
/// # Errors
/// `invalid-request` with the member `field`. What is misspelt in a command is refused, as over HTTP; elsewhere members
/// that are not known are passed over.
pub fn read(mut members: Map<String, Value>) -> Result<ClientAction, Problem> {
    #[derive(Deserialize)]
    struct Named {
        action: String,
    }
    let Named { action } = part(&mut members, "action")?;
    Ok(match action.as_str() {
        "auth" => ClientAction::Auth(whole(members)?),
        "subscribe" => ClientAction::Subscribe(whole(members)?),
        "unsubscribe" => ClientAction::Unsubscribe(whole(members)?),
        "start_charging" => {
            ClientAction::StartCharging { command_id: command_id(&mut members)?, request: whole(members)? }
        }
        "stop_charging" => {
            ClientAction::StopCharging { command_id: command_id(&mut members)?, request: whole(members)? }
        }
        "ping" => ClientAction::Ping {},
        _ => return Err(Problem::invalid_field("action", "action: is not one of those that are known.")),
    })
}

fn command_id(members: &mut Map<String, Value>) -> Result<Option<String>, Problem> {
    #[derive(Deserialize)]
    struct Repeatable {
        command_id: Option<String>,
    }
    let Repeatable { command_id } = part(members, "command_id")?;
    Ok(command_id)
}

/// Takes one member out.
fn part<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<T, Problem> {
    whole(members.remove_entry(name).into_iter().collect())
}

fn whole<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Problem> {
    let Json(fitting) = Json::of(Value::Object(members))?;
    Ok(fitting)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        let session_id = "018f4b4c-0000-7000-8000-000000000001";
        for message in [
            json!({"action": "auth", "token": "x"}),
            json!({"action": "subscribe", "topic": "me", "since": 12, "generation": 1}),
            json!({"action": "subscribe", "topic": "me"}),
            json!({"action": "unsubscribe", "topic": "me"}),
            json!({"action": "start_charging", "command_id": "x", "charger_id": "CP1", "connector_id": 1, "evse_id": null,
                "evse_uid": null}),
            json!({"action": "stop_charging", "command_id": "x", "session_id": session_id}),
            json!({"action": "stop_charging", "session_id": session_id}),
            json!({"action": "ping"}),
        ] {
            let action = read(members(message.clone())).expect("fits");
            assert_eq!(serde_json::to_value(&action).expect("JSON"), message);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (message, field) in [
            (json!({}), "action"),
            (json!({"action": 1}), "action"),
            (json!({"action": "dance"}), "action"),
            (json!({"action": "auth"}), "token"),
            (json!({"action": "auth", "token": null}), "token"),
            (json!({"action": "subscribe"}), "topic"),
            (json!({"action": "subscribe", "topic": "me", "since": "12"}), "since"),
            (json!({"action": "subscribe", "topic": "me", "generation": 1.5}), "generation"),
            (json!({"action": "start_charging", "charger_id": "CP1", "connector_id": 0}), "connector_id"),
            (json!({"action": "start_charging", "charger_id": "CP1", "connector_id": "1"}), "connector_id"),
            (json!({"action": "start_charging", "charger": "CP1"}), "charger"),
            (json!({"action": "start_charging", "command_id": 7}), "command_id"),
            (json!({"action": "stop_charging", "session_id": "zzz"}), "session_id"),
            (json!({"action": "stop_charging"}), "session_id"),
        ] {
            let problem = serde_json::to_value(read(members(message.clone())).expect_err("refused")).expect("JSON");
            assert_eq!((&problem["field"], &problem["status"]), (&field.into(), &422.into()), "{message}: {problem}");
        }
    }
}
