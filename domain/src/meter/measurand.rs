//! The words of sampled values, read tolerantly: measurand, unit, context, phase.

use rust_decimal::Decimal;

/// Values beyond this (in the base unit) are junk, whatever they measure; it also keeps all sums within a decimal.
const MAGNITUDE_MAX: i64 = 1_000_000_000_000;

/// The measurands that are understood. Others are recorded and passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measurand {
    ImportRegister,
    ExportRegister,
    ImportInterval,
    ExportInterval,
    ImportPower,
    ExportPower,
    Soc,
    Temperature,
}

/// Case, blanks, dots and other separators are ignored: `energy.active.import.register` and
/// `Energy_Active_Import_Register` are one word.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

fn given(text: Option<&str>) -> Option<String> {
    text.map(letters).filter(|text| !text.is_empty())
}

impl Measurand {
    /// Absent or empty: the imported energy register (OCPP 1.6 §7.45, 2.0.1 SampledValueType).
    pub fn read(text: Option<&str>) -> Option<Self> {
        let Some(text) = given(text) else { return Some(Self::ImportRegister) };
        Some(match text.as_str() {
            "energyactiveimportregister" => Self::ImportRegister,
            "energyactiveexportregister" => Self::ExportRegister,
            "energyactiveimportinterval" => Self::ImportInterval,
            "energyactiveexportinterval" => Self::ExportInterval,
            "poweractiveimport" => Self::ImportPower,
            "poweractiveexport" => Self::ExportPower,
            "soc" | "stateofcharge" => Self::Soc,
            "temperature" => Self::Temperature,
            _ => return None,
        })
    }

    /// The value in the base unit (Wh, W, percent, °C). `None` if it is no plain number or the unit does not fit: a
    /// decimal comma, thousands' separators or `NaN` are recorded, not guessed.
    pub fn in_base_unit(self, value: &str, unit: Option<&str>, multiplier: Option<i32>) -> Option<Decimal> {
        let value = self.converted(number(value)?, unit)?;
        let scaled = match multiplier {
            None | Some(0) => value,
            Some(power @ -12..=12) => value.checked_mul(power_of_ten(power)?)?,
            Some(_) => return None,
        };
        (scaled.abs() <= Decimal::from(MAGNITUDE_MAX)).then(|| scaled.normalize())
    }

    fn converted(self, value: Decimal, unit: Option<&str>) -> Option<Decimal> {
        let unit = given(unit);
        let thousand = || value.checked_mul(Decimal::ONE_THOUSAND);
        match (self, unit.as_deref()) {
            (_, None) => Some(value),
            (Self::ImportRegister | Self::ExportRegister | Self::ImportInterval | Self::ExportInterval, Some(unit)) => {
                match unit {
                    "wh" => Some(value),
                    "kwh" => thousand(),
                    "mwh" => thousand()?.checked_mul(Decimal::ONE_THOUSAND),
                    _ => None,
                }
            }
            (Self::ImportPower | Self::ExportPower, Some(unit)) => match unit {
                "w" => Some(value),
                "kw" => thousand(),
                _ => None,
            },
            (Self::Soc, Some(unit)) => matches!(unit, "percent" | "pct").then_some(value),
            (Self::Temperature, Some(unit)) => match unit {
                // 1.6 spells it Celcius in its schema.
                "celcius" | "celsius" | "c" => Some(value),
                "fahrenheit" | "f" => Some((value - Decimal::from(32)) * Decimal::from(5) / Decimal::from(9)),
                "k" | "kelvin" => Some(value - Decimal::new(27315, 2)),
                _ => None,
            },
        }
    }
}

fn number(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let plain = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'+');
    let number = if text.bytes().all(plain) {
        text.parse::<Decimal>().ok()?
    } else if text.bytes().all(|c| plain(c) || matches!(c, b'e' | b'E')) {
        Decimal::from_scientific(text).ok()?
    } else {
        return None;
    };
    (number.abs() <= Decimal::from(MAGNITUDE_MAX)).then_some(number)
}

fn power_of_ten(power: i32) -> Option<Decimal> {
    let digits = power.unsigned_abs();
    Some(if power < 0 { Decimal::new(1, digits) } else { Decimal::from(10_i64.checked_pow(digits)?) })
}

/// Where in a transaction a value was taken. Ordered by how much it says of "now".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Context {
    TransactionBegin,
    Other,
    TransactionEnd,
}

impl Context {
    pub fn read(text: Option<&str>) -> Self {
        match given(text).as_deref() {
            Some("transactionbegin") => Self::TransactionBegin,
            Some("transactionend") => Self::TransactionEnd,
            _ => Self::Other,
        }
    }
}

/// What part of the total a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Total,
    One(u8),
    /// Between phases, or the neutral: no part of a sum.
    Other,
}

impl Phase {
    pub fn read(text: Option<&str>) -> Self {
        match given(text).as_deref() {
            None => Self::Total,
            Some("l1" | "l1n") => Self::One(1),
            Some("l2" | "l2n") => Self::One(2),
            Some("l3" | "l3n") => Self::One(3),
            Some(_) => Self::Other,
        }
    }
}

/// Energy is sold at the outlet, which is also what an absent location means; the lower, the better.
pub(super) fn distance_from_outlet(location: Option<&str>) -> u8 {
    match given(location).as_deref() {
        None | Some("outlet") => 0,
        Some("cable") => 1,
        Some("ev") => 2,
        Some("body") => 3,
        Some(_) => 4,
    }
}
