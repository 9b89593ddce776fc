//! Where to charge, in the three ways in which a client can say it.

use domain::id::{ConnectorId, EvseId, EvseUid};
use domain::refusal::Refusal;

use super::command::StartCharging;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The number that the charger itself uses.
    Connector {
        charger_id: String,
        connector_id: ConnectorId,
    },
    Evse {
        charger_id: String,
        evse_id: EvseId,
    },
    EvseUid(EvseUid),
}

impl StartCharging {
    /// An `evse_uid` says it all; a charger needs the EVSE, or the connector by its own number.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with the field that is missing, wrong, or one too many.
    pub fn target(&self) -> Result<Target, Refusal> {
        let Self { charger_id, connector_id, evse_id, evse_uid } = self;
        match (evse_uid, charger_id) {
            (Some(_), Some(_)) => Err(Refusal::invalid("charger_id", "goes without evse_uid, which names the charger")),
            (Some(uid), None) => {
                if evse_id.is_some() || connector_id.is_some() {
                    let field = if evse_id.is_some() { "evse_id" } else { "connector_id" };
                    return Err(Refusal::invalid(field, "goes without evse_uid, which names the EVSE"));
                }
                let uid = uid.parse().map_err(|_| Refusal::invalid("evse_uid", "is not one that a charger has"))?;
                Ok(Target::EvseUid(uid))
            }
            (None, Some(charger_id)) => match (evse_id, connector_id) {
                // In 2.x a connector is a part of the EVSE, which is what is claimed.
                (Some(evse_id), _) => {
                    Ok(Target::Evse { charger_id: charger_id.clone(), evse_id: EvseId(evse_id.get()) })
                }
                (None, Some(connector_id)) => Ok(Target::Connector {
                    charger_id: charger_id.clone(),
                    connector_id: ConnectorId(connector_id.get()),
                }),
                (None, None) => Err(Refusal::invalid("connector_id", "or evse_id must say where at the charger")),
            },
            (None, None) => Err(Refusal::invalid("charger_id", "or evse_uid must say where to charge")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_is_named_in_one_of_three_ways() {
        let uid = "018f4b4c-0000-7000-8000-000000000001.2";
        let charger_id = || "CP001".to_owned();
        let table = [
            (
                json!({"charger_id": "CP001", "connector_id": 2}),
                Ok(Target::Connector { charger_id: charger_id(), connector_id: ConnectorId(2) }),
            ),
            (
                json!({"charger_id": "CP001", "evse_id": 2}),
                Ok(Target::Evse { charger_id: charger_id(), evse_id: EvseId(2) }),
            ),
            (
                json!({"charger_id": "CP001", "evse_id": 2, "connector_id": 1}),
                Ok(Target::Evse { charger_id: charger_id(), evse_id: EvseId(2) }),
            ),
            (json!({"evse_uid": uid}), Ok(Target::EvseUid(uid.parse().unwrap()))),
            (json!({"evse_uid": "CP001.1"}), Err("evse_uid")),
            (json!({"evse_uid": uid, "charger_id": "CP001"}), Err("charger_id")),
            (json!({"evse_uid": uid, "connector_id": 1}), Err("connector_id")),
            (json!({"evse_uid": uid, "evse_id": 1}), Err("evse_id")),
            (json!({"charger_id": "CP001"}), Err("connector_id")),
            (json!({"connector_id": 1}), Err("charger_id")),
            (json!({}), Err("charger_id")),
        ];
        for (body, expected) in table {
            let parsed = serde_json::from_value::<StartCharging>(body.clone()).unwrap().target();
            let parsed = parsed.map_err(|refusal| match refusal {
                Refusal::Invalid { field, .. } => field,
                other => panic!("{other}"),
            });
            assert_eq!(parsed, expected, "{body}");
        }
    }
}
