use serde::{Deserialize, Serialize};

use crate::v16::Limited;

/// `ChangeConfiguration.req` (1.6 section 6.9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChangeConfiguration {
    pub key: Limited<1, 50>,
    /// Always a text, also for numbers and booleans; may be empty.
    pub value: Limited<0, 500>,
}
