use serde::{Deserialize, Serialize};

/// `RemoteStopTransaction.req` (1.6 section 6.35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteStopTransaction {
    /// Negative where the charger itself named a transaction that was begun offline.
    pub transaction_id: i32,
}
