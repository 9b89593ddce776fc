//! Money: exact decimal amounts in a currency of ISO 4217.
//!
//! An [`Amount`] is exact and knows no currency; it is what lines and taxes are kept in. [`Money`] is an amount of a
//! [`Currency`] that has been rounded **once**, half-up, to the currency's digits. Amounts are strings in JSON, so
//! that no reader turns them into binary fractions.

mod currency;

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

pub use currency::{Currency, UnknownCurrency};

/// An exact amount of some currency, unrounded. In JSON a string: `"12.345"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(#[serde(with = "rust_decimal::serde::str")] Decimal);

impl Amount {
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Trailing zeros are dropped: `1.50` and `1.5` are one amount with one text.
    #[must_use]
    pub fn new(value: Decimal) -> Self {
        Self(value.normalize())
    }

    #[must_use]
    pub fn value(self) -> Decimal {
        self.0
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.0 - other.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = rust_decimal::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Decimal::from_str_exact(text).map(Self::new)
    }
}

/// An amount that can be paid: rounded to the digits of its currency, and written with exactly as many.
/// In JSON `{"amount":"12.34","currency":"EUR"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "MoneyText", into = "MoneyText")]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// Rounds half-up (a half goes away from zero) to the currency's digits.
    #[must_use]
    pub fn round(amount: Amount, currency: Currency) -> Self {
        let digits = u32::from(currency.digits());
        let mut rounded = amount.0.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(digits);
        Self { amount: rounded, currency }
    }

    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self::round(Amount::ZERO, currency)
    }

    #[must_use]
    pub fn amount(self) -> Amount {
        Amount::new(self.amount)
    }

    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    /// `12.34 EUR`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// An amount with more digits than its currency has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{amount} has more digits than {currency} allows")]
pub struct TooManyDigits {
    amount: Decimal,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct MoneyText {
    /// The amount, with exactly as many digits as its currency has.
    #[serde(with = "rust_decimal::serde::str")]
    amount: Decimal,
    /// The currency (ISO 4217).
    currency: Currency,
}

impl TryFrom<MoneyText> for Money {
    type Error = TooManyDigits;
    fn try_from(text: MoneyText) -> Result<Self, Self::Error> {
        let money = Self::round(Amount(text.amount), text.currency);
        if money.amount == text.amount {
            Ok(money)
        } else {
            Err(TooManyDigits { amount: text.amount, currency: text.currency })
        }
    }
}

impl From<Money> for MoneyText {
    fn from(money: Money) -> Self {
        Self { amount: money.amount, currency: money.currency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_up_to_the_digits_of_the_currency() {
        for (amount, currency, expected) in [
            ("0.005", "EUR", "0.01 EUR"),
            ("0.004999999999", "EUR", "0.00 EUR"),
            ("1.125", "EUR", "1.13 EUR"),
            ("2.675", "EUR", "2.68 EUR"),
            ("-1.125", "EUR", "-1.13 EUR"),
            ("12", "EUR", "12.00 EUR"),
            ("99.5", "JPY", "100 JPY"),
            ("99.49", "JPY", "99 JPY"),
            ("1.2345", "KWD", "1.235 KWD"),
            ("1.23445", "CLF", "1.2345 CLF"),
        ] {
            let money = Money::round(amount.parse().unwrap(), currency.parse().unwrap());
            assert_eq!(money.to_string(), expected, "{amount} {currency}");
        }
    }

    #[test]
    fn json_is_text_and_exact() {
        let money = Money::round("12.3".parse().unwrap(), "EUR".parse().unwrap());
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(json, r#"{"amount":"12.30","currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        assert!(serde_json::from_str::<Money>(r#"{"amount":"1.234","currency":"EUR"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":12.3,"currency":"EUR"}"#).is_err());
        assert_eq!(serde_json::to_string(&"0.490".parse::<Amount>().unwrap()).unwrap(), r#""0.49""#);
    }
}
