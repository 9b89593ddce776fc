//! What makes a tariff one that can be published. Each refusal names its field as a path: `elements[0].restrictions.min_kwh`.

use rust_decimal::Decimal;

use super::model::{ComponentType, PriceComponent, Restrictions, Tariff};
use crate::money::Amount;

/// Elements of one tariff, components of one element, and taxes: what a person can still check.
const ELEMENTS_MAX: usize = 64;
const COMPONENTS_MAX: usize = 8;
const TAXES_MAX: usize = 8;
const TAX_NAME_LENGTH_MAX: usize = 64;
/// A price or a threshold that is higher is a mistake, and keeps every product within what a decimal can hold.
const PRICE_MAX: u32 = 1_000_000;
const ENERGY_KWH_MAX: u32 = 1_000_000;
/// Digits after the point of prices, percentages and thresholds.
const DIGITS_MAX: u32 = 6;

/// A tariff that can't be published: the field as a path into its JSON, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Error {
    pub field: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("{0}")]
    NotReadable(String),
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {0} entries")]
    TooMany(usize),
    #[error("must have 1 to {0} characters")]
    Length(usize),
    #[error("must be between 0 and {max}, with at most {DIGITS_MAX} digits after the point")]
    Range { max: u32 },
    #[error("must be at least 1")]
    NoStep,
    #[error("occurs twice in this element, of which only the first would ever count")]
    Twice,
    #[error("must be above {0}, or it never holds")]
    NeverHolds(&'static str),
}

impl Problem {
    fn at(self, field: impl Into<String>) -> Error {
        Error { field: field.into(), problem: self }
    }
}

impl Tariff {
    /// Reads and validates a tariff from JSON.
    ///
    /// # Errors
    /// What is wrong with the first field that is wrong; for what can't be read, serde's message and the field `tariff`.
    pub fn parse(json: &serde_json::Value) -> Result<Self, Error> {
        use serde::Deserialize;
        let tariff = Self::deserialize(json).map_err(|error| Problem::NotReadable(error.to_string()).at("tariff"))?;
        tariff.validate()?;
        Ok(tariff)
    }

    /// # Errors
    /// What is wrong with the first field that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        count("elements", self.elements.len(), ELEMENTS_MAX)?;
        if self.taxes.len() > TAXES_MAX {
            return Err(Problem::TooMany(TAXES_MAX).at("taxes"));
        }
        for (index, tax) in self.taxes.iter().enumerate() {
            if tax.name.trim().is_empty() || tax.name.chars().count() > TAX_NAME_LENGTH_MAX {
                return Err(Problem::Length(TAX_NAME_LENGTH_MAX).at(format!("taxes[{index}].name")));
            }
            range(|| format!("taxes[{index}].percent"), tax.percent, 100)?;
        }
        if let Some(min_price) = self.min_price {
            price_range(|| "min_price".to_owned(), min_price)?;
        }
        if let (Some(from), Some(to)) = (self.valid_from, self.valid_to)
            && to <= from
        {
            return Err(Problem::NeverHolds("valid_from").at("valid_to"));
        }
        for (index, element) in self.elements.iter().enumerate() {
            let path = format!("elements[{index}]");
            components(&path, &element.price_components)?;
            restrictions(&path, &element.restrictions)?;
        }
        Ok(())
    }
}

fn components(element: &str, components: &[PriceComponent]) -> Result<(), Error> {
    let path = format!("{element}.price_components");
    count(&path, components.len(), COMPONENTS_MAX)?;
    for (index, component) in components.iter().enumerate() {
        price_range(|| format!("{path}[{index}].price"), component.price)?;
        if component.step_size == 0 && component.kind != ComponentType::Flat {
            return Err(Problem::NoStep.at(format!("{path}[{index}].step_size")));
        }
        if components[..index].iter().any(|earlier| earlier.kind == component.kind) {
            return Err(Problem::Twice.at(format!("{path}[{index}].type")));
        }
    }
    Ok(())
}

fn restrictions(element: &str, given: &Restrictions) -> Result<(), Error> {
    let path = |field: &str| format!("{element}.restrictions.{field}");
    for (field, kwh) in [("min_kwh", given.min_kwh), ("max_kwh", given.max_kwh)] {
        if let Some(kwh) = kwh {
            range(|| path(field), kwh, ENERGY_KWH_MAX)?;
        }
    }
    above(&path, ("min_kwh", given.min_kwh), ("max_kwh", given.max_kwh))?;
    above(&path, ("min_duration_s", given.min_duration_s), ("max_duration_s", given.max_duration_s))?;
    above(&path, ("min_power_w", given.min_power_w), ("max_power_w", given.max_power_w))?;
    above(&path, ("start_date", given.start_date), ("end_date", given.end_date))
}

fn above<T: PartialOrd>(
    path: &impl Fn(&str) -> String,
    (lower_name, lower): (&'static str, Option<T>),
    (upper_name, upper): (&str, Option<T>),
) -> Result<(), Error> {
    match (lower, upper) {
        (Some(lower), Some(upper)) if upper <= lower => Err(Problem::NeverHolds(lower_name).at(path(upper_name))),
        _ => Ok(()),
    }
}

fn count(field: &str, count: usize, max: usize) -> Result<(), Error> {
    match count {
        0 => Err(Problem::Empty.at(field)),
        count if count > max => Err(Problem::TooMany(max).at(field)),
        _ => Ok(()),
    }
}

fn price_range(field: impl FnOnce() -> String, price: Amount) -> Result<(), Error> {
    range(field, price.value(), PRICE_MAX)
}

fn range(field: impl FnOnce() -> String, value: Decimal, max: u32) -> Result<(), Error> {
    if value < Decimal::ZERO || value > Decimal::from(max) || value.normalize().scale() > DIGITS_MAX {
        return Err(Problem::Range { max }.at(field()));
    }
    Ok(())
}
