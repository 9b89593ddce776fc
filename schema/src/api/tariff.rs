//! `POST /api/tariffs`: a version of a tariff, in OCPI's shape with units in the names.

use chrono::{DateTime, NaiveDate, Utc};
use domain::id::TariffId;
use domain::money::{Amount, Currency};
use domain::tariff::{self, ComponentType, DayOfWeek, LocalTime, Tariff};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Of each dimension, the first element whose restrictions hold and that prices it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishTariff {
    /// The tariff of which this is a new version; left out: a new tariff.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tariff_id: Option<TariffId>,
    #[schema(example = "Day and night", max_length = 200)]
    pub name: String,
    /// ISO 4217.
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// Whether prices, and `min_price`, contain the taxes.
    pub tax_included: bool,
    #[serde(default)]
    pub taxes: Vec<Tax>,
    pub elements: Vec<TariffElement>,
    /// The least a session costs, by the same rule of taxes as the prices.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "0.50")]
    pub min_price: Option<Amount>,
    /// Valid from this moment on, inclusive.
    #[serde(default)]
    pub valid_from: Option<DateTime<Utc>>,
    /// Valid until this moment, exclusive.
    #[serde(default)]
    pub valid_to: Option<DateTime<Utc>>,
}

/// A tax on the amount before taxes; several don't compound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    #[schema(example = "VAT", max_length = 64)]
    pub name: String,
    #[schema(value_type = f64, example = 19)]
    pub percent: Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TariffElement {
    pub price_components: Vec<PriceComponent>,
    #[serde(default)]
    pub restrictions: Restrictions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceComponent {
    /// `ENERGY`, `TIME` (charging), `PARKING_TIME` (not charging) or `FLAT` (once a session).
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "ENERGY")]
    pub kind: ComponentType,
    /// Per kWh, per hour, or once.
    #[schema(value_type = String, example = "0.49")]
    pub price: Amount,
    /// What is used in the whole session is rounded up to a multiple of this: Wh, or seconds.
    #[serde(default = "one")]
    #[schema(minimum = 1, default = 1)]
    pub step_size: u32,
}

fn one() -> u32 {
    1
}

/// When an element counts. All that are given must hold; times, dates and days are local to the site.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restrictions {
    /// From this time of day, inclusive; alone: until midnight.
    #[schema(value_type = Option<String>, example = "22:00")]
    pub start_time: Option<LocalTime>,
    /// Until this time of day, exclusive; before `start_time` it wraps past midnight.
    #[schema(value_type = Option<String>, example = "06:00")]
    pub end_time: Option<LocalTime>,
    /// `MONDAY` to `SUNDAY`; empty: all.
    #[schema(value_type = Vec<String>)]
    pub days_of_week: Vec<DayOfWeek>,
    pub start_date: Option<NaiveDate>,
    /// Exclusive.
    pub end_date: Option<NaiveDate>,
    /// From this energy of the session on.
    #[schema(value_type = Option<f64>)]
    pub min_kwh: Option<Decimal>,
    #[schema(value_type = Option<f64>)]
    pub max_kwh: Option<Decimal>,
    pub min_duration_s: Option<u32>,
    pub max_duration_s: Option<u32>,
    /// While the average power between two readings is at least this.
    pub min_power_w: Option<u32>,
    pub max_power_w: Option<u32>,
}

impl From<PublishTariff> for Tariff {
    fn from(body: PublishTariff) -> Self {
        let PublishTariff { tariff_id: _, name: _, currency, tax_included, .. } = body;
        Self {
            currency,
            tax_included,
            taxes: body.taxes.into_iter().map(|Tax { name, percent }| tariff::Tax { name, percent }).collect(),
            elements: body.elements.into_iter().map(Into::into).collect(),
            min_price: body.min_price,
            valid_from: body.valid_from,
            valid_to: body.valid_to,
        }
    }
}

impl From<TariffElement> for tariff::TariffElement {
    fn from(element: TariffElement) -> Self {
        let component = |PriceComponent { kind, price, step_size }| tariff::PriceComponent { kind, price, step_size };
        Self {
            price_components: element.price_components.into_iter().map(component).collect(),
            restrictions: element.restrictions.into(),
        }
    }
}

impl From<Restrictions> for tariff::Restrictions {
    fn from(given: Restrictions) -> Self {
        Self {
            start_time: given.start_time,
            end_time: given.end_time,
            days_of_week: given.days_of_week,
            start_date: given.start_date,
            end_date: given.end_date,
            min_kwh: given.min_kwh,
            max_kwh: given.max_kwh,
            min_duration_s: given.min_duration_s,
            max_duration_s: given.max_duration_s,
            min_power_w: given.min_power_w,
            max_power_w: given.max_power_w,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The body has the shape that tariffs have in events, and nothing of it is lost on the way.
    #[test]
    fn a_body_becomes_the_tariff_of_the_same_json() {
        let json = json!({
            "currency": "EUR",
            "tax_included": false,
            "taxes": [{"name": "VAT", "percent": 19}],
            "elements": [{
                "price_components": [
                    {"type": "ENERGY", "price": "0.49", "step_size": 1},
                    {"type": "PARKING_TIME", "price": "3", "step_size": 60},
                ],
                "restrictions": {
                    "start_time": "22:00", "end_time": "06:00", "days_of_week": ["MONDAY", "SUNDAY"],
                    "start_date": "2026-01-01", "end_date": "2027-01-01", "min_kwh": 1.5, "max_kwh": 100,
                    "min_duration_s": 60, "max_duration_s": 3600, "min_power_w": 1000, "max_power_w": 22000,
                },
            }],
            "min_price": "0.5",
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_to": "2027-01-01T00:00:00Z",
        });
        let mut body = json.clone();
        body["name"] = "Night".into();
        let body: PublishTariff = serde_json::from_value(body).unwrap();
        assert_eq!(serde_json::to_value(Tariff::from(body)).unwrap(), json);
    }
}
