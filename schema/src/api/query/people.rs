use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::Timestamp;

/// A driver, as operators see them. Names and addresses are not here: they are the account's, for its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Driver {
    pub driver_id: String,
    pub plan_id: Option<String>,
    /// The person is gone; what was charged stays under this id, which stands for nobody.
    pub erased: bool,
    pub registered_at: Timestamp,
    pub position: i64,
}

/// A card, fob or app credential, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    pub token_id: String,
    /// OCPP 2.0.1's `IdTokenEnumType`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Null when the person it belonged to has been erased.
    pub value: Option<String>,
    pub driver_id: Option<String>,
    pub group: Option<String>,
    /// accepted, blocked or expired; take an unknown word for blocked.
    pub status: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub registered_at: Timestamp,
    pub position: i64,
}
