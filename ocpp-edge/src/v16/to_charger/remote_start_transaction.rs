use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::{ChargingProfile, ChargingProfilePurpose, Error};
use crate::v16::IdTag;

/// `RemoteStartTransaction.req` (1.6 section 6.33).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteStartTransaction {
    pub id_tag: IdTag,
    /// Left out: the charger chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<NonZeroU16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging_profile: Option<ChargingProfile>,
}

impl RemoteStartTransaction {
    /// What cannot be said of one field alone: a profile sent along is for the transaction that it starts (1.6 on
    /// smart charging).
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.charging_profile {
            Some(profile) if profile.charging_profile_purpose != ChargingProfilePurpose::TxProfile => {
                Err(Error::Field {
                    field: "payload.chargingProfile.chargingProfilePurpose".to_owned(),
                    detail: "must be TxProfile in a RemoteStartTransaction".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}
