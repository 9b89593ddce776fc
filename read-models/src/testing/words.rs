//! What chargers and operators say, to choose from.

use domain::meter::{MeterReading, SampledValue};
use domain::outlet::{Connector, Evse};
use domain::site::{Address, Coordinates, SiteDetails};
use domain::tariff::Tariff;
use serde_json::json;

pub const STATUSES: [&str; 8] =
    ["Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Unavailable", "Faulted", "Parking"];

/// One with a character that `jsonb` can't hold.
pub const INFOS: [&str; 3] = ["ground failure", "line\u{0}break \\u0000", "übertemperatur"];

pub fn tariff(price_cents: u32) -> Tariff {
    let price = format!("0.{:02}", price_cents % 100);
    serde_json::from_value(json!({
        "currency": "EUR", "tax_included": true, "taxes": [{"name": "VAT", "percent": 19}],
        "elements": [{"price_components": [
            {"type": "ENERGY", "price": price, "step_size": 1},
            {"type": "PARKING_TIME", "price": "2.40", "step_size": 60},
        ]}],
    }))
    .expect("a tariff")
}

pub fn site(name: String) -> SiteDetails {
    let address = Address {
        street: "Hauptstraße 1".to_owned(),
        postal_code: None,
        city: "Köln".to_owned(),
        country: "DE".to_owned(),
    };
    SiteDetails {
        name,
        address,
        coordinates: Some(Coordinates { latitude: 50.9375, longitude: 6.9603 }),
        time_zone: "Europe/Berlin".parse().expect("a zone"),
        currency: "EUR".parse().expect("a currency"),
        tariff_id: None,
    }
}

pub fn evse(number: u32) -> Evse {
    let connector = Connector { connector_id: domain::id::ConnectorId(1), kind: None, max_power_w: Some(22_000) };
    Evse { evse_id: domain::id::EvseId(number), connectors: vec![connector] }
}

/// The import register, and the power.
pub fn reading(timestamp: String, register_wh: i64) -> MeterReading {
    let power = SampledValue {
        measurand: Some("Power.Active.Import".to_owned()),
        unit: Some("W".to_owned()),
        ..SampledValue::of("7400.0")
    };
    MeterReading::new(timestamp, vec![SampledValue::of(register_wh.to_string()), power])
}
