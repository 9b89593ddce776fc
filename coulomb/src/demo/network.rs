//! What the demo's network is made of.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::charger::{ChargerConfig, OutletConfig};
use simulator::phone::Person;
use simulator::town::ResidentConfig;

use super::state::State;

/// Between two readings of a charge, so that there is something to watch.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// A site with its tariff, and the chargers that stand there.
pub struct Site {
    /// Without `tariff_id`.
    pub body: Value,
    pub tariff: Value,
    pub models: &'static [&'static Model],
}

/// What can be bought.
pub struct Model {
    vendor: &'static str,
    name: &'static str,
    plug: &'static str,
    outlets: &'static [OutletConfig],
}

const WALLBOX: Model =
    Model { vendor: "Ladewerk", name: "Wallbox 11", plug: "IEC_62196_T2", outlets: &[OutletConfig::ac(11_000.0)] };
const POST: Model = Model {
    vendor: "Ladewerk",
    name: "Post 22 Duo",
    plug: "IEC_62196_T2",
    outlets: &[OutletConfig::ac(22_000.0), OutletConfig::ac(22_000.0)],
};
const FAST: Model =
    Model { vendor: "Voltane", name: "Rapid 50", plug: "IEC_62196_T2_COMBO", outlets: &[OutletConfig::dc(50_000.0)] };
const HYPER: Model = Model {
    vendor: "Voltane",
    name: "Hyper 150",
    plug: "IEC_62196_T2_COMBO",
    outlets: &[OutletConfig::dc(150_000.0), OutletConfig::dc(150_000.0)],
};
const SLOW: Model =
    Model { vendor: "Kerb", name: "Lamppost 7", plug: "IEC_62196_T2", outlets: &[OutletConfig::ac(7_400.0)] };

pub fn sites() -> [Site; 3] {
    [
        Site {
            body: json!({
                "name": "Harbour",
                "address": {"street": "Am Sandtorkai 1", "postal_code": "20457", "city": "Hamburg", "country": "DE"},
                "coordinates": {"latitude": 53.5436, "longitude": 9.9950},
                "time_zone": "Europe/Berlin", "currency": "EUR",
            }),
            tariff: json!({
                "name": "Harbour, day and night", "currency": "EUR", "tax_included": true,
                "taxes": [{"name": "MwSt.", "percent": 19}],
                "elements": [
                    {"price_components": [{"type": "ENERGY", "price": "0.39"}],
                     "restrictions": {"start_time": "22:00", "end_time": "06:00"}},
                    {"price_components": [
                        {"type": "ENERGY", "price": "0.49"}, {"type": "PARKING_TIME", "price": "6.00", "step_size": 60}]},
                ],
            }),
            models: &[&HYPER, &HYPER, &FAST, &FAST, &POST, &POST, &WALLBOX, &WALLBOX],
        },
        Site {
            body: json!({
                "name": "Old Mill",
                "address": {"street": "12 Mill Lane", "postal_code": "SE1 2AB", "city": "London", "country": "GB"},
                "coordinates": {"latitude": 51.5033, "longitude": -0.0797},
                "time_zone": "Europe/London", "currency": "GBP",
            }),
            tariff: json!({
                "name": "Old Mill", "currency": "GBP", "tax_included": true,
                "taxes": [{"name": "VAT", "percent": 20}],
                "elements": [{"price_components": [
                    {"type": "FLAT", "price": "0.35"}, {"type": "ENERGY", "price": "0.44"}]}],
                "min_price": "0.50",
            }),
            models: &[&HYPER, &FAST, &POST, &POST, &SLOW, &SLOW],
        },
        Site {
            body: json!({
                "name": "Fjord",
                "address": {"street": "Rådhusplassen 1", "postal_code": "0037", "city": "Oslo", "country": "NO"},
                "coordinates": {"latitude": 59.9115, "longitude": 10.7340},
                "time_zone": "Europe/Oslo", "currency": "NOK",
            }),
            tariff: json!({
                "name": "Fjord, by power", "currency": "NOK", "tax_included": false,
                "taxes": [{"name": "MVA", "percent": 25}],
                "elements": [
                    {"price_components": [{"type": "ENERGY", "price": "4.90"}], "restrictions": {"min_power_w": 60000}},
                    {"price_components": [{"type": "ENERGY", "price": "3.60"}]},
                ],
            }),
            models: &[&HYPER, &HYPER, &FAST, &FAST, &POST, &WALLBOX],
        },
    ]
}

impl Model {
    /// The body that registers a charger of this model.
    pub fn registration(&self, id: &str, password: &str, site_id: &str) -> Value {
        let evses: Vec<Value> = (1..)
            .zip(self.outlets)
            .map(|(number, outlet)| {
                json!({"evse_id": number,
                    "connectors": [{"connector_id": 1, "type": self.plug, "max_power_w": outlet.power_max_w as u32}]})
            })
            .collect();
        json!({"charger_id": id, "password": password, "site_id": site_id, "evses": evses})
    }
}

/// The charger for whoever looks: two outlets, whatever the real one has.
pub fn own_charger() -> &'static Model {
    &POST
}

/// The identity of the n-th simulated charger, from 0.
pub fn charger_id(number: usize) -> String {
    format!("CP{:03}", number + 1)
}

/// The simulated chargers.
pub fn chargers(ocpp: &str, state: &State) -> Vec<ChargerConfig> {
    let sites = sites();
    let models = sites.iter().flat_map(|site| site.models);
    let charger = |(number, model): (usize, &&Model)| ChargerConfig {
        password: Some(state.charger_password.clone()),
        vendor: model.vendor.to_owned(),
        model: model.name.to_owned(),
        outlets: model.outlets.to_vec(),
        sample_interval: SAMPLE_INTERVAL,
        // Some don't boot anew each time that they lose the network.
        boots_on_reconnect: number % 3 != 0,
        ..ChargerConfig::new(ocpp, charger_id(number))
    };
    models.enumerate().map(charger).collect()
}

const RESIDENTS: [&str; 10] = [
    "Anna Petersen",
    "Ben Okafor",
    "Chiara Rossi",
    "Daniel Novak",
    "Elif Yilmaz",
    "Finn Larsen",
    "Grace Hughes",
    "Hiro Tanaka",
    "Ines Duarte",
    "Jonas Weber",
];

/// The simulated drivers. Every other one has a card.
pub fn residents(state: &State) -> Vec<ResidentConfig> {
    let resident = |(number, name): (usize, &&str)| {
        let first = name.split(' ').next().unwrap_or(name).to_lowercase();
        ResidentConfig {
            person: Person {
                email: format!("{first}@coulomb.example"),
                password: state.resident_password.clone(),
                name: (*name).to_owned(),
                phone: None,
            },
            card: (number % 2 == 0).then(|| format!("04C0FFEE{number:02}")),
        }
    };
    RESIDENTS.iter().enumerate().map(resident).collect()
}
