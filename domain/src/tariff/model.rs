//! The content of a tariff. In JSON as OCPI has it, with units in the names; prices are strings, other decimals numbers.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc, Weekday};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::number;
use crate::money::{Amount, Currency};

/// One version of a tariff. Of each dimension, the first element whose restrictions hold and that prices it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// The currency of all its prices (ISO 4217).
    pub currency: Currency,
    /// Whether prices, and `min_price`, contain the taxes.
    pub tax_included: bool,
    /// The taxes on it; empty: none.
    #[serde(default)]
    pub taxes: Vec<Tax>,
    /// Its elements, in the order in which they are looked at.
    pub elements: Vec<TariffElement>,
    /// The least a session costs, by the same rule of taxes as the prices; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_price: Option<Amount>,
    /// Valid from this moment on, inclusive; absent: always was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// Valid until this moment, exclusive; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<DateTime<Utc>>,
}

impl Tariff {
    #[must_use]
    pub fn is_valid_at(&self, at: DateTime<Utc>) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_to.is_none_or(|to| at < to)
    }
}

/// A tax on the amount before taxes; several don't compound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// What it is called, such as `VAT`.
    pub name: String,
    /// In percent of the amount before taxes.
    #[serde(with = "number")]
    pub percent: Decimal,
}

/// Prices, and when they count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffElement {
    /// The prices, one for each dimension that it prices.
    pub price_components: Vec<PriceComponent>,
    /// When they count; absent: always.
    #[serde(default, skip_serializing_if = "Restrictions::is_empty")]
    pub restrictions: Restrictions,
}

/// The price of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceComponent {
    /// The dimension.
    #[serde(rename = "type")]
    pub kind: ComponentType,
    /// Per kWh (`ENERGY`), per hour (`TIME`, `PARKING_TIME`), or once (`FLAT`).
    pub price: Amount,
    /// What is used of the dimension in the whole session is rounded up to a multiple of this: Wh for `ENERGY`, seconds
    /// for `TIME` and `PARKING_TIME`, without meaning for `FLAT`.
    #[serde(default = "one")]
    pub step_size: u32,
}

fn one() -> u32 {
    1
}

/// A dimension of a session that can have a price (OCPI's TariffDimensionType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ComponentType {
    /// Energy taken.
    Energy,
    /// Time charging, from start to stop.
    Time,
    /// Time not charging, from stop to departure.
    ParkingTime,
    /// Once a session.
    Flat,
}

/// When an element counts. All that are given must hold; times, dates and days are local to the site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restrictions {
    /// From this time of day (`HH:MM`), inclusive; alone: until midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<LocalTime>,
    /// Until this time of day (`HH:MM`), exclusive. Not after `start_time`: wraps past midnight, and an equal one means
    /// all day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<LocalTime>,
    /// The days of the calendar on which it counts; absent: all. A night that wraps past midnight is on two days.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days_of_week: Vec<DayOfWeek>,
    /// From this day, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<NaiveDate>,
    /// Until this day, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<NaiveDate>,
    /// From this energy of the session on, inclusive, in kWh.
    #[serde(with = "number::option", skip_serializing_if = "Option::is_none")]
    pub min_kwh: Option<Decimal>,
    /// Until this energy of the session, exclusive, in kWh.
    #[serde(with = "number::option", skip_serializing_if = "Option::is_none")]
    pub max_kwh: Option<Decimal>,
    /// From this duration of the session on, inclusive, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration_s: Option<u32>,
    /// Until this duration of the session, exclusive, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_s: Option<u32>,
    /// While the average power between two readings is at least this, in W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_power_w: Option<u32>,
    /// While the average power between two readings is below this, in W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_power_w: Option<u32>,
}

impl Restrictions {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the local calendar or the time of day matters.
    pub(super) fn follow_the_wall_clock(&self) -> bool {
        self.start_time.is_some()
            || self.end_time.is_some()
            || !self.days_of_week.is_empty()
            || self.start_date.is_some()
            || self.end_date.is_some()
    }
}

/// A local time of day to the minute: `"HH:MM"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "String")]
pub struct LocalTime {
    minute_of_day: u16,
}

/// Not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of day as HH:MM, from 00:00 to 23:59")]
pub struct NoLocalTime(String);

impl LocalTime {
    /// # Errors
    /// [`NoLocalTime`] unless the text is `HH:MM`.
    pub fn parse(text: &str) -> Result<Self, NoLocalTime> {
        let time = (text.len() == 5).then(|| NaiveTime::parse_from_str(text, "%H:%M").ok()).flatten();
        let minutes = time.and_then(|time| u16::try_from(time.hour() * 60 + time.minute()).ok());
        minutes.map(|minute_of_day| Self { minute_of_day }).ok_or_else(|| NoLocalTime(text.to_owned()))
    }

    pub(super) fn second_of_day(self) -> u32 {
        u32::from(self.minute_of_day) * 60
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minute_of_day / 60, self.minute_of_day % 60)
    }
}

impl TryFrom<Cow<'_, str>> for LocalTime {
    type Error = NoLocalTime;
    fn try_from(text: Cow<'_, str>) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        time.to_string()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DayOfWeek {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl DayOfWeek {
    pub(super) fn of(date: NaiveDate) -> Self {
        match date.weekday() {
            Weekday::Mon => Self::Monday,
            Weekday::Tue => Self::Tuesday,
            Weekday::Wed => Self::Wednesday,
            Weekday::Thu => Self::Thursday,
            Weekday::Fri => Self::Friday,
            Weekday::Sat => Self::Saturday,
            Weekday::Sun => Self::Sunday,
        }
    }
}
