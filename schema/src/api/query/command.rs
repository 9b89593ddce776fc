use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::Timestamp;

/// Something that was asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    pub command_id: String,
    #[schema(example = "start_charging")]
    pub kind: String,
    pub charger_id: Option<String>,
    pub session_id: Option<String>,
    /// requested, sent, accepted, done, rejected, failed, timed_out or expired; take an unknown word for sent.
    #[schema(example = "accepted")]
    pub state: String,
    /// Why it ended as it did, where there is something to say.
    pub reason: Option<String>,
    pub requested_by: RequestedBy,
    pub requested_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    pub position: i64,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestedBy {
    /// driver, operator, charger, system or partner.
    pub kind: String,
    pub id: String,
}
