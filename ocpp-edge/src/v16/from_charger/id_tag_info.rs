use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::lenient::words;
use crate::v16::IdTag;

words! {
    /// `AuthorizationStatus` (1.6 section 7).
    pub enum AuthorizationStatus {
        Accepted = "Accepted",
        Blocked = "Blocked",
        Expired = "Expired",
        Invalid = "Invalid",
        /// Only in answer to a StartTransaction: the tag is charging elsewhere.
        ConcurrentTx = "ConcurrentTx",
    }
}

/// `IdTagInfo` (1.6 section 7): what the charger is told of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdTagInfo {
    pub status: AuthorizationStatus,
    /// When the charger should forget that it knows the tag.
    #[serde(serialize_with = "super::time::optional_rfc3339_millis", skip_serializing_if = "Option::is_none")]
    pub expiry_date: Option<DateTime<Utc>>,
    /// The group whose other tags may stop what this one started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
}

impl IdTagInfo {
    /// The status alone.
    pub fn of(status: AuthorizationStatus) -> Self {
        Self { status, expiry_date: None, parent_id_tag: None }
    }
}
