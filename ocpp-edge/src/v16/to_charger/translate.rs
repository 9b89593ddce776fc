//! What is asked of a charger, in OCPP 1.6's words.

use std::num::NonZeroU16;

use domain::station_command::StationAction;

use super::{
    AvailabilityType, ChangeAvailability, ChangeConfiguration, ClearCache, Command, GetConfiguration,
    RemoteStartTransaction, RemoteStopTransaction, RequestedMessage, Reset, ResetType, TriggerMessage, UnlockConnector,
};
use crate::lenient::Words;
use crate::v16::Limited;

/// What OCPP 1.6 has no words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    #[error("OCPP 1.6 has no connector of this number")]
    Connector,
    #[error("the tag is not one that OCPP 1.6 can carry")]
    Tag,
    #[error("the transaction's id is not a number of OCPP 1.6")]
    Transaction,
    #[error("the configuration key or value is not one that OCPP 1.6 can carry")]
    Configuration,
    #[error("OCPP 1.6 can't trigger this message")]
    Trigger,
}

/// Of an action whose outlet is named by the charger's own number.
impl TryFrom<&StationAction<u32>> for Command {
    type Error = Untranslatable;

    fn try_from(action: &StationAction<u32>) -> Result<Self, Untranslatable> {
        Ok(match action {
            StationAction::RemoteStart { outlet, tag, .. } => Self::RemoteStartTransaction(RemoteStartTransaction {
                id_tag: tag.clone().try_into().map_err(|_| Untranslatable::Tag)?,
                connector_id: Some(connector(*outlet)?),
                charging_profile: None,
            }),
            StationAction::RemoteStop { transaction_id } => Self::RemoteStopTransaction(RemoteStopTransaction {
                transaction_id: transaction_id.0.parse().map_err(|_| Untranslatable::Transaction)?,
            }),
            StationAction::Reset { hard } => {
                Self::Reset(Reset { r#type: if *hard { ResetType::Hard } else { ResetType::Soft } })
            }
            StationAction::UnlockConnector { outlet } => {
                Self::UnlockConnector(UnlockConnector { connector_id: connector(*outlet)? })
            }
            StationAction::ChangeAvailability { outlet, operative } => {
                let r#type = if *operative { AvailabilityType::Operative } else { AvailabilityType::Inoperative };
                let connector_id = outlet.map(connector).transpose()?.map_or(0, NonZeroU16::get);
                Self::ChangeAvailability(ChangeAvailability { connector_id, r#type })
            }
            StationAction::GetConfiguration { keys } => Self::GetConfiguration(GetConfiguration {
                key: keys.iter().map(|key| configuration(key)).collect::<Result<_, _>>()?,
            }),
            StationAction::ChangeConfiguration { key, value } => Self::ChangeConfiguration(ChangeConfiguration {
                key: configuration(key)?,
                value: configuration(value)?,
            }),
            StationAction::TriggerMessage { requested_message, outlet } => Self::TriggerMessage(TriggerMessage {
                requested_message: RequestedMessage::find(requested_message).ok_or(Untranslatable::Trigger)?,
                connector_id: outlet.map(connector).transpose()?,
            }),
            StationAction::ClearCache {} => Self::ClearCache(ClearCache {}),
        })
    }
}

fn connector(number: u32) -> Result<NonZeroU16, Untranslatable> {
    u16::try_from(number).ok().and_then(NonZeroU16::new).ok_or(Untranslatable::Connector)
}

fn configuration<const MIN: usize, const MAX: usize>(text: &str) -> Result<Limited<MIN, MAX>, Untranslatable> {
    text.to_owned().try_into().map_err(|_| Untranslatable::Configuration)
}

#[cfg(test)]
mod tests {
    use domain::id::TransactionId;
    use serde_json::{Value, json};

    use super::*;

    fn payload(action: &StationAction<u32>) -> Result<(&'static str, Value), Untranslatable> {
        let command = Command::try_from(action)?;
        Ok((command.action(), serde_json::to_value(&command).unwrap()))
    }

    #[test]
    fn every_action_has_its_message() {
        let outlet = 2;
        let tag = "0A1B".to_owned();
        #[rustfmt::skip]
        let table = [
            (StationAction::RemoteStart { outlet, tag, remote_start_id: 1, group: None }, "RemoteStartTransaction", json!({"idTag": "0A1B", "connectorId": 2})),
            (StationAction::RemoteStop { transaction_id: TransactionId("7".into()) }, "RemoteStopTransaction", json!({"transactionId": 7})),
            (StationAction::Reset { hard: true }, "Reset", json!({"type": "Hard"})),
            (StationAction::Reset { hard: false }, "Reset", json!({"type": "Soft"})),
            (StationAction::UnlockConnector { outlet }, "UnlockConnector", json!({"connectorId": 2})),
            (StationAction::ChangeAvailability { outlet: None, operative: false }, "ChangeAvailability", json!({"connectorId": 0, "type": "Inoperative"})),
            (StationAction::ChangeAvailability { outlet: Some(outlet), operative: true }, "ChangeAvailability", json!({"connectorId": 2, "type": "Operative"})),
            (StationAction::GetConfiguration { keys: vec![] }, "GetConfiguration", json!({})),
            (StationAction::GetConfiguration { keys: vec!["A".into()] }, "GetConfiguration", json!({"key": ["A"]})),
            (StationAction::ChangeConfiguration { key: "A".into(), value: String::new() }, "ChangeConfiguration", json!({"key": "A", "value": ""})),
            (StationAction::TriggerMessage { requested_message: "Heartbeat".into(), outlet: None }, "TriggerMessage", json!({"requestedMessage": "Heartbeat"})),
            (StationAction::ClearCache {}, "ClearCache", json!({})),
        ];
        for (action, name, expected) in table {
            assert_eq!(payload(&action), Ok((name, expected)), "{action:?}");
        }
    }

    #[test]
    fn what_1_6_has_no_words_for_is_said_to_be_so() {
        let transaction_id = TransactionId("a-2.0.1-uuid".into());
        assert_eq!(payload(&StationAction::RemoteStop { transaction_id }), Err(Untranslatable::Transaction));
        for outlet in [0, 70_000] {
            assert_eq!(payload(&StationAction::UnlockConnector { outlet }), Err(Untranslatable::Connector));
        }
    }
}
