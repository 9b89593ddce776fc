use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::money::Amount;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment: RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-03-01T08:15:00.000Z")]
pub struct Timestamp(pub DateTime<Utc>);

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A decimal that stands as a JSON number: energy, power, percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = f64, example = 7400)]
pub struct Number(pub Decimal);

impl From<Decimal> for Number {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl Serialize for Number {
    /// Whole numbers without a fraction; others as the nearest binary fraction, whose shortest text is the decimal again.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0.normalize();
        match (value.scale(), value.to_i64()) {
            (0, Some(whole)) => serializer.serialize_i64(whole),
            _ => value.to_f64().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Decimal as Deserialize>::deserialize(deserializer).map(Self)
    }
}

/// An amount of money. The amount is a string, so that no reader turns it into a binary fraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Money {
    #[schema(example = "12.34")]
    pub amount: String,
    /// ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl Money {
    /// An amount as it is, unrounded: prices of a unit have as many digits as they need.
    pub fn exact(amount: Amount, currency: domain::money::Currency) -> Self {
        Self { amount: amount.to_string(), currency: currency.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_plain_numbers() {
        for (text, json) in [("7400", "7400"), ("7400.0", "7400"), ("1234.5", "1234.5"), ("0.1", "0.1"), ("-3", "-3")] {
            let number = Number(text.parse().expect("a decimal"));
            assert_eq!(serde_json::to_string(&number).expect("a number"), json);
            assert_eq!(serde_json::from_str::<Number>(json).expect("a number"), number);
        }
    }

    #[test]
    fn times_have_milliseconds() {
        let at: DateTime<Utc> = "2026-03-01T08:15:00+02:00".parse().expect("a time");
        assert_eq!(serde_json::to_string(&Timestamp(at)).expect("text"), r#""2026-03-01T06:15:00.000Z""#);
    }
}
