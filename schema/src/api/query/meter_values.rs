use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::{Number, Timestamp};

/// One reading of a session's meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeterValues {
    /// When it was taken; null where no clock could be trusted.
    pub occurred_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// The charger's text.
    pub timestamp: String,
    /// The register of imported energy.
    pub import_register_wh: Option<Number>,
    pub export_register_wh: Option<Number>,
    pub power_w: Option<Number>,
    pub soc_percent: Option<Number>,
    /// Every sampled value as it was sent, signatures included.
    #[schema(value_type = Vec<Object>)]
    pub sampled: serde_json::Value,
    pub position: i64,
}
