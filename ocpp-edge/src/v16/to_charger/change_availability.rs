use serde::{Deserialize, Serialize};

use crate::lenient::words;

words! {
    /// `AvailabilityType` (1.6 section 7).
    pub enum AvailabilityType {
        Inoperative = "Inoperative",
        Operative = "Operative",
    }
}

/// `ChangeAvailability.req` (1.6 section 6.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChangeAvailability {
    /// 0 is the charge point with all its connectors.
    pub connector_id: u16,
    pub r#type: AvailabilityType,
}
