use serde::{Deserialize, Serialize};

use crate::lenient::words;

words! {
    /// `ResetType` (1.6 section 7).
    pub enum ResetType {
        /// At once, as if the power had failed.
        Hard = "Hard",
        /// After transactions were stopped in good order.
        Soft = "Soft",
    }
}

/// `Reset.req` (1.6 section 6.39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Reset {
    pub r#type: ResetType,
}
