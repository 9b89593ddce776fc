//! Meter readings as they were sent. Nothing here is changed, completed or dropped: disputes are settled by it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::DeviceTime;

/// One `MeterValue` of a charger: a moment and what was sampled then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterReading {
    /// The charger's text, byte for byte.
    pub timestamp: String,
    /// What it says by the charger's own clock, uncorrected; null if it is no time.
    pub device_at: Option<DateTime<Utc>>,
    /// What was sampled then.
    pub sampled: Vec<SampledValue>,
}

impl MeterReading {
    #[must_use]
    pub fn new(timestamp: impl Into<String>, sampled: Vec<SampledValue>) -> Self {
        let timestamp = timestamp.into();
        let device_at = DeviceTime::parse(&timestamp).at;
        Self { timestamp, device_at, sampled }
    }
}

/// One sampled value, verbatim. All but the value may be absent; then OCPP's defaults hold, but are not written here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledValue {
    /// The value, as the charger wrote it.
    pub value: String,
    /// The unit of the value, such as `Wh`, `kW` or `Percent`; absent: Wh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// OCPP 2.x: the value counts in units of ten to this power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<i32>,
    /// What was measured; absent: `Energy.Active.Import.Register`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurand: Option<String>,
    /// On what occasion it was sampled, such as `Transaction.Begin`; absent: `Sample.Periodic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The phase it was measured on, such as `L1`; absent: all of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Where it was measured: `Outlet`, `Inlet`, `Body`, `Cable` or `EV`; absent: `Outlet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// OCPP 1.6: `Raw` or `SignedData`; with the latter, `value` is the signed text. Absent: `Raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// OCPP 2.x: the signed meter value as it was sent. German calibration law needs it byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

impl SampledValue {
    /// A bare value, which OCPP reads as Wh of the imported energy register.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }
}
