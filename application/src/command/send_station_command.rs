use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::ChargePoint;
use domain::id::{ChargePointId, CommandId, ConnectorNumber};
use domain::refusal::Refusal;
use domain::station_command::{StationAction, StationRequest};
use event_store::Session;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Accepted;
use super::start_charging::{charge_point_of, queue};
use crate::work::Work;
use crate::{Application, CommandContext, Error};

/// An operator asks a charger for something, in OCPP 1.6's words.
#[derive(Debug, Clone)]
pub struct SendStationCommand {
    pub charger_id: String,
    /// Its outlet by the number that the charger itself uses.
    pub action: StationAction<ConnectorNumber>,
}

pub async fn send_station_command(
    app: &Application,
    context: &CommandContext,
    request: SendStationCommand,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let charge_point_id = match charge_point_of(app, context, &request.charger_id).await {
        Ok(charge_point_id) => charge_point_id,
        Err(Error::Refused(refusal)) => return app.refuse(context, refusal.into()).await,
        Err(error) => return Err(error),
    };
    let command_id = context.command_id();
    let send = Send {
        charge_point_id,
        action: request.action,
        command_id,
        now: context.now,
        expiry: app.settings().command_expiry,
    };
    app.command(context, command_id, send).await
}

struct Send {
    charge_point_id: ChargePointId,
    action: StationAction<ConnectorNumber>,
    command_id: CommandId,
    now: DateTime<Utc>,
    expiry: TimeDelta,
}

impl Work for Send {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let charge_point = session.load::<ChargePoint>(self.charge_point_id).await?;
        let identity = charge_point.identity.clone().ok_or(Refusal::ChargerUnknown)?;
        if !charge_point.online {
            return Err(Refusal::ChargerOffline.into());
        }
        let numbers = charge_point.connector_numbers();
        let request = StationRequest {
            command_id: self.command_id,
            charge_point_id: self.charge_point_id,
            kind: kind(&self.action).to_owned(),
            action: self.action.clone().with_outlet(|number| numbers.outlet_of(number)),
            session_id: None,
            requested_at: self.now,
            expires_at: self.now + self.expiry,
        };
        queue(session, request).await?;
        Ok(Accepted { charger_id: Some(identity.into()), ..Accepted::of(self.command_id) })
    }
}

const fn kind<O>(action: &StationAction<O>) -> &'static str {
    match action {
        StationAction::RemoteStart { .. } => "remote_start",
        StationAction::RemoteStop { .. } => "remote_stop",
        StationAction::Reset { .. } => "reset",
        StationAction::UnlockConnector { .. } => "unlock_connector",
        StationAction::ChangeAvailability { .. } => "change_availability",
        StationAction::GetConfiguration { .. } => "get_configuration",
        StationAction::ChangeConfiguration { .. } => "change_configuration",
        StationAction::TriggerMessage { .. } => "trigger_message",
        StationAction::ClearCache {} => "clear_cache",
    }
}

/// An action and its payload as OCPP 1.6 has them (edition 2, chapter 6).
///
/// Starts and stops have commands of their own, since a session belongs to each.
pub fn parse_action(action: &str, payload: &Value) -> Result<StationAction<ConnectorNumber>, Refusal> {
    match action {
        "Reset" => {
            let Reset { kind } = read(payload)?;
            match kind.as_str() {
                "Hard" => Ok(StationAction::Reset { hard: true }),
                "Soft" => Ok(StationAction::Reset { hard: false }),
                _ => Err(Refusal::invalid("payload.type", "is Hard or Soft")),
            }
        }
        "UnlockConnector" => {
            let OnConnector { connector_id } = read(payload)?;
            let outlet =
                outlet(connector_id)?.ok_or_else(|| Refusal::invalid("payload.connectorId", "is 1 or more"))?;
            Ok(StationAction::UnlockConnector { outlet })
        }
        "ChangeAvailability" => {
            let Availability { connector_id, kind } = read(payload)?;
            let operative = match kind.as_str() {
                "Operative" => true,
                "Inoperative" => false,
                _ => return Err(Refusal::invalid("payload.type", "is Operative or Inoperative")),
            };
            Ok(StationAction::ChangeAvailability { outlet: outlet(connector_id)?, operative })
        }
        "GetConfiguration" => {
            let Keys { key } = read(payload)?;
            if key.len() > 100 || key.iter().any(|key| key.is_empty() || key.chars().count() > 50) {
                return Err(Refusal::invalid("payload.key", "has at most 100 keys of 1 to 50 characters"));
            }
            Ok(StationAction::GetConfiguration { keys: key })
        }
        "ChangeConfiguration" => {
            let Change { key, value } = read(payload)?;
            if key.is_empty() || key.chars().count() > 50 {
                return Err(Refusal::invalid("payload.key", "has 1 to 50 characters"));
            }
            if key.eq_ignore_ascii_case("AuthorizationKey") {
                // What is asked for stands in the history, and no secret may.
                return Err(Refusal::invalid("payload.key", "a charger's password can't be set by this command"));
            }
            if value.chars().count() > 500 {
                return Err(Refusal::invalid("payload.value", "has at most 500 characters"));
            }
            Ok(StationAction::ChangeConfiguration { key, value })
        }
        "TriggerMessage" => {
            let Trigger { requested_message, connector_id } = read(payload)?;
            if !TRIGGERED.contains(&requested_message.as_str()) {
                return Err(Refusal::invalid(
                    "payload.requestedMessage",
                    format!("is one of {}", TRIGGERED.join(", ")),
                ));
            }
            let outlet = connector_id.map(outlet).transpose()?.flatten();
            Ok(StationAction::TriggerMessage { requested_message, outlet })
        }
        "ClearCache" => {
            let Nothing {} = read(payload)?;
            Ok(StationAction::ClearCache {})
        }
        "RemoteStartTransaction" | "RemoteStopTransaction" => Err(Refusal::invalid(
            "action",
            "sessions are started and stopped at /api/charging/remote_start and /api/charging/remote_stop",
        )),
        _ => Err(Refusal::invalid("action", format!("is one of {}", ACTIONS.join(", ")))),
    }
}

const ACTIONS: [&str; 7] = [
    "Reset",
    "UnlockConnector",
    "ChangeAvailability",
    "GetConfiguration",
    "ChangeConfiguration",
    "TriggerMessage",
    "ClearCache",
];

const TRIGGERED: [&str; 6] = [
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OnConnector {
    connector_id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Availability {
    connector_id: i64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    key: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Trigger {
    requested_message: String,
    connector_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn read<T: DeserializeOwned>(payload: &Value) -> Result<T, Refusal> {
    let empty = Value::Object(serde_json::Map::new());
    let payload = if payload.is_null() { &empty } else { payload };
    T::deserialize(payload).map_err(|error| Refusal::invalid("payload", error.to_string()))
}

fn outlet(connector_id: i64) -> Result<Option<ConnectorNumber>, Refusal> {
    let number = u32::try_from(connector_id)
        .map_err(|_| Refusal::invalid("payload.connectorId", "is 0 (the charger itself) or more"))?;
    Ok(ConnectorNumber::new(number))
}
