use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::{Number, Timestamp};

/// A charging session: from the request, or from the transaction that came without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    pub session_id: String,
    pub charger_id: Option<String>,
    pub evse_id: Option<u32>,
    /// As the charger counts; with OCPP 2.x within `evse_id`.
    pub connector_id: Option<u32>,
    pub transaction_id: Option<String>,
    pub driver_id: Option<String>,
    /// requested, active, stopping, completed or failed; take an unknown word for active.
    #[schema(example = "active")]
    pub state: String,
    /// OCPP 2.0.1's `chargingState`.
    pub charging_state: Option<String>,
    /// What the driver has to do so that it goes on: `plug_in`, or nothing.
    #[schema(example = "plug_in")]
    pub needs: Option<String>,
    /// When a start that is still requested fails.
    pub deadline_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    /// OCPP 2.0.1's `stoppedReason`.
    pub stop_reason: Option<String>,
    pub energy_wh: Option<Number>,
    pub power_w: Option<Number>,
    pub soc_percent: Option<Number>,
    pub metered_at: Option<Timestamp>,
    pub cost: Option<SessionCost>,
    pub failure: Option<SessionFailure>,
    /// What did not fit, for people to look at.
    pub flags: Vec<String>,
    pub position: i64,
}

/// What it costs so far, or in the end: with taxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCost {
    #[schema(example = "12.34")]
    pub amount: String,
    #[schema(example = "EUR")]
    pub currency: String,
    pub before_taxes: String,
    pub taxes: String,
    /// It may not be the last word.
    pub estimated: bool,
    /// 0 while the session runs; a later one replaces an earlier one.
    pub revision: u32,
}

/// Why it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionFailure {
    pub code: String,
    pub detail: String,
}
