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
    /// Stretches of the session in order and without gaps. Empty if the session's time is not trustworthy.
    pub periods: Vec<PricedPeriod>,
    /// What the price is made of, before or after taxes as the tariff has its prices.
    pub lines: Vec<PriceLine>,
    /// What is to be paid without taxes, exact to twelve digits.
    pub before_taxes: Amount,
    /// The taxes on it.
    pub taxes: Vec<AppliedTax>,
    /// With taxes: what is to be paid.
    pub total: Money,
    /// Energy or time are missing or doubtful, so this may not be the last word.
    pub estimated: bool,
}

/// A stretch of the session in which the same components applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedPeriod {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it ends.
    pub to: DateTime<Utc>,
    /// Whether it charged or parked.
    pub activity: Activity,
    /// The energy taken in it, in Wh; null where it is not known.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub energy_wh: Option<Decimal>,
    /// Index (from 0) of the tariff's element that priced the energy; null: none did.
    pub energy_element: Option<usize>,
    /// Index (from 0) of the tariff's element that priced the time; null: none did.
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
    /// What is priced.
    pub kind: LineKind,
    /// Index (from 0) of the tariff's element; null for the minimum.
    pub element: Option<usize>,
    /// Per kWh, per hour, or once.
    pub price: Amount,
    /// Energy as it was used, in Wh; null unless energy is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub energy_wh: Option<Decimal>,
    /// Energy rounded up to whole steps, in Wh (the last line of its dimension carries the rounding); null unless
    /// energy is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub billed_energy_wh: Option<Decimal>,
    /// Time as it was used, in seconds; null unless time is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub time_s: Option<Decimal>,
    /// Time rounded up to whole steps, in seconds (the last line of its dimension carries the rounding); null unless
    /// time is priced.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub billed_time_s: Option<Decimal>,
    /// What it comes to, by the tariff's rule of taxes: with or without them.
    pub amount: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Energy taken.
    Energy,
    /// Time charging.
    Time,
    /// Time not charging, from stop to departure.
    ParkingTime,
    /// Once a session.
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

/// A tax on the price of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedTax {
    /// What it is called, such as `VAT`.
    pub name: String,
    /// In percent of the amount before taxes.
    #[serde(with = "super::number")]
    pub percent: Decimal,
    /// What it comes to, exact to twelve digits.
    pub amount: Amount,
}
