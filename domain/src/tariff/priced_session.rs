//! What a session costs, and why.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::model::ComponentType;
use crate::money::{Amount, Money};

/// The price of a session: content of `SessionPriced`. Amounts of lines and taxes are exact (quotients to twelve digits);
/// only the total is rounded, and only once. Decimals are strings in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedSession {
    /// In order and without gaps. Empty if the session's time is not trustworthy.
    pub periods: Vec<PricedPeriod>,
    pub lines: Vec<PriceLine>,
    pub before_taxes: Amount,
    pub taxes: Vec<AppliedTax>,
    /// With taxes: what is to be paid.
    pub total: Money,
    /// Energy or time are missing or doubtful, so this may not be the last word.
    pub estimated: bool,
}

/// A stretch of the session in which the same components applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedPeriod {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub activity: Activity,
    #[serde(with = "rust_decimal::serde::str_option")]
    pub energy_wh: Option<Decimal>,
    /// The element that priced the energy, and the one that priced the time, by their index in the tariff.
    pub energy_element: Option<usize>,
    pub time_element: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// From start to stop: `TIME`.
    Charging,
    /// From stop to departure: `PARKING_TIME`.
    Parking,
}

/// One price times what it applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceLine {
    pub kind: LineKind,
    /// Index of the tariff's element; `None` for the minimum.
    pub element: Option<usize>,
    /// Per kWh, per hour, or once.
    pub price: Amount,
    /// As used. `None` unless energy is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub energy_wh: Option<Decimal>,
    /// As used rounded up to whole steps (the last line of its dimension carries the rounding).
    #[serde(with = "rust_decimal::serde::str_option")]
    pub billed_energy_wh: Option<Decimal>,
    /// As used. `None` unless time is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub time_s: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option")]
    pub billed_time_s: Option<Decimal>,
    /// By the tariff's rule of taxes: with or without them.
    pub amount: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    Energy,
    Time,
    ParkingTime,
    Flat,
    /// What is missing to the tariff's minimum price.
    Minimum,
}

impl From<ComponentType> for LineKind {
    fn from(kind: ComponentType) -> Self {
        match kind {
            ComponentType::Energy => Self::Energy,
            ComponentType::Time => Self::Time,
            ComponentType::ParkingTime => Self::ParkingTime,
            ComponentType::Flat => Self::Flat,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedTax {
    pub name: String,
    #[serde(with = "super::number")]
    pub percent: Decimal,
    pub amount: Amount,
}
