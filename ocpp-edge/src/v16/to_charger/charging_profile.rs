use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lenient::words;

words! {
    /// `ChargingProfilePurposeType` (1.6 section 7).
    pub enum ChargingProfilePurpose {
        ChargePointMaxProfile = "ChargePointMaxProfile",
        TxDefaultProfile = "TxDefaultProfile",
        TxProfile = "TxProfile",
    }
}

words! {
    /// `ChargingProfileKindType` (1.6 section 7).
    pub enum ChargingProfileKind {
        Absolute = "Absolute",
        Recurring = "Recurring",
        Relative = "Relative",
    }
}

words! {
    /// `RecurrencyKindType` (1.6 section 7).
    pub enum RecurrencyKind {
        Daily = "Daily",
        Weekly = "Weekly",
    }
}

words! {
    /// `ChargingRateUnitType` (1.6 section 7).
    pub enum ChargingRateUnit {
        Ampere = "A",
        Watt = "W",
    }
}

/// `ChargingProfile` (1.6 section 7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChargingProfile {
    pub charging_profile_id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<i32>,
    /// The higher level wins.
    pub stack_level: u16,
    pub charging_profile_purpose: ChargingProfilePurpose,
    pub charging_profile_kind: ChargingProfileKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrency_kind: Option<RecurrencyKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<DateTime<Utc>>,
    pub charging_schedule: ChargingSchedule,
}

/// `ChargingSchedule` (1.6 section 7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChargingSchedule {
    #[serde(rename = "duration", default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_schedule: Option<DateTime<Utc>>,
    pub charging_rate_unit: ChargingRateUnit,
    pub charging_schedule_period: Vec<ChargingSchedulePeriod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_charging_rate: Option<Tenths>,
}

/// `ChargingSchedulePeriod` (1.6 section 7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChargingSchedulePeriod {
    /// From the start of the schedule.
    #[serde(rename = "startPeriod")]
    pub start_period_s: i32,
    /// In the schedule's unit.
    pub limit: Tenths,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_phases: Option<u8>,
}

/// A number with at most one decimal, counted in tenths: a float check for multiples of 0.1 refuses 8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Tenths(i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 with at most one decimal")]
pub struct NoTenths;

impl TryFrom<f64> for Tenths {
    type Error = NoTenths;

    fn try_from(number: f64) -> Result<Self, NoTenths> {
        let tenths = (number * 10.0).round();
        // The nearest float to n/10 is what any reader makes of a text with one decimal, and nothing else is.
        if (0.0..=f64::from(i32::MAX)).contains(&tenths) && tenths / 10.0 == number {
            return Ok(Self(tenths as i32));
        }
        Err(NoTenths)
    }
}

impl From<Tenths> for f64 {
    fn from(tenths: Tenths) -> Self {
        f64::from(tenths.0) / 10.0
    }
}
