//! What a charger is asked to do, and what it says to that.
//!
//! A payload is checked against the specification before it is sent: these types exist only for what may be sent. An
//! operator's `{"action","payload"}` comes through [`Command::parse`], whose error names the field.

mod answer;
pub mod change_availability;
pub mod change_configuration;
mod charging_profile;
mod clear_cache;
pub mod get_configuration;
mod record;
mod remote_start_transaction;
mod remote_stop_transaction;
mod reset;
mod translate;
mod trigger_message;
mod unlock_connector;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Verdict};
pub use change_availability::{AvailabilityType, ChangeAvailability};
pub use change_configuration::ChangeConfiguration;
pub use charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, ChargingSchedule,
    ChargingSchedulePeriod, RecurrencyKind, Tenths,
};
pub use clear_cache::ClearCache;
pub use get_configuration::{Configuration, ConfigurationKey, GetConfiguration};
pub use record::record;
pub use remote_start_transaction::RemoteStartTransaction;
pub use remote_stop_transaction::RemoteStopTransaction;
pub use reset::{Reset, ResetType};
pub use translate::Untranslatable;
pub use trigger_message::{RequestedMessage, TriggerMessage};
pub use unlock_connector::UnlockConnector;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Action;
use crate::json::Node;

/// A call to a charger. It serialises as its payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Command {
    ChangeAvailability(ChangeAvailability),
    ChangeConfiguration(ChangeConfiguration),
    ClearCache(ClearCache),
    GetConfiguration(GetConfiguration),
    RemoteStartTransaction(RemoteStartTransaction),
    RemoteStopTransaction(RemoteStopTransaction),
    Reset(Reset),
    TriggerMessage(TriggerMessage),
    UnlockConnector(UnlockConnector),
}

/// A command that the specification does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("action: {0:?} is none that is sent to a charger of OCPP 1.6")]
    Action(String),
    /// The path of the field, e.g. `payload.chargingProfile.stackLevel`, and what is wrong with it.
    #[error("{field}: {detail}")]
    Field { field: String, detail: String },
}

impl Command {
    /// Checks an operator's command. `payload` is the JSON of the request's payload; `null` stands for `{}`.
    ///
    /// # Errors
    /// The action cannot be sent, or the first field that the specification does not allow.
    pub fn parse(action: &str, payload: &str) -> Result<Self, Error> {
        let unknown = || Error::Action(action.to_owned());
        match Action::find(action).ok_or_else(unknown)?.name {
            "ChangeAvailability" => strict(payload).map(Self::ChangeAvailability),
            "ChangeConfiguration" => strict(payload).map(Self::ChangeConfiguration),
            "ClearCache" => strict(payload).map(Self::ClearCache),
            "GetConfiguration" => strict(payload).map(Self::GetConfiguration),
            "RemoteStartTransaction" => {
                let start: RemoteStartTransaction = strict(payload)?;
                start.check()?;
                Ok(Self::RemoteStartTransaction(start))
            }
            "RemoteStopTransaction" => strict(payload).map(Self::RemoteStopTransaction),
            "Reset" => strict(payload).map(Self::Reset),
            "TriggerMessage" => strict(payload).map(Self::TriggerMessage),
            "UnlockConnector" => strict(payload).map(Self::UnlockConnector),
            _ => Err(unknown()),
        }
    }

    /// The action's name on the wire.
    pub fn action(&self) -> &'static str {
        match self {
            Self::ChangeAvailability(_) => "ChangeAvailability",
            Self::ChangeConfiguration(_) => "ChangeConfiguration",
            Self::ClearCache(_) => "ClearCache",
            Self::GetConfiguration(_) => "GetConfiguration",
            Self::RemoteStartTransaction(_) => "RemoteStartTransaction",
            Self::RemoteStopTransaction(_) => "RemoteStopTransaction",
            Self::Reset(_) => "Reset",
            Self::TriggerMessage(_) => "TriggerMessage",
            Self::UnlockConnector(_) => "UnlockConnector",
        }
    }

    /// Reads the payload of the charger's CALLRESULT. It is never refused: an answer that makes no sense is
    /// [`Verdict::Unclear`].
    pub fn read_answer<'a>(&self, payload: Node<'a>) -> Answer<'a> {
        match self {
            Self::GetConfiguration(_) => Answer::read_without_status(payload),
            _ => Answer::read(payload),
        }
    }
}

fn strict<T: DeserializeOwned>(payload: &str) -> Result<T, Error> {
    let payload = match payload.trim() {
        "null" | "" => "{}",
        other => other,
    };
    let mut json = serde_json::Deserializer::from_str(payload);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        Error::Field {
            field: if path == "." { "payload".to_owned() } else { format!("payload.{path}") },
            detail: without_position(&error.into_inner().to_string()),
        }
    })
}

/// serde_json ends its messages with the place in the text, which means nothing to who wrote a form.
fn without_position(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}
