use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// `UnlockConnector.req` (1.6 section 6.53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UnlockConnector {
    pub connector_id: NonZeroU16,
}
