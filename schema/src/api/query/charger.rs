use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::site::{Address, Coordinates};
use super::value::{Money, Timestamp};

/// The public face of a charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Charger {
    /// What the charger calls itself.
    #[schema(example = "CP001")]
    pub charger_id: String,
    pub online: bool,
    /// Of its connectors the word that says most to somebody who wants to charge: `available` if any is, else the first of
    /// charging, suspended, occupied, preparing, finishing, reserved, faulted, unavailable; `unknown` while it is offline.
    /// `faulted` or `unavailable` also while the charger says so of itself as a whole.
    #[schema(example = "available")]
    pub status: String,
    pub status_at: Option<Timestamp>,
    pub site: Option<ChargerSite>,
    pub price: Option<Price>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub connectors: Vec<ChargerConnector>,
    pub position: i64,
}

/// Where the charger stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargerSite {
    pub site_id: String,
    pub name: String,
    pub address: Address,
    pub coordinates: Option<Coordinates>,
    /// IANA name.
    pub time_zone: String,
}

/// What charging costs here, to those whose plan says nothing else. The whole tariff: `GET /api/tariffs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    pub tariff_id: String,
    pub version: u32,
    pub name: String,
    pub tax_included: bool,
    pub per_kwh: Option<Money>,
    pub per_hour: Option<Money>,
    pub parking_per_hour: Option<Money>,
    pub flat: Option<Money>,
    /// Whether another price may hold at other times, or beyond some energy, duration or power.
    pub varies: bool,
}

/// A place to plug in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChargerConnector {
    /// The number that the charger itself uses; with OCPP 2.x it counts within `evse_id`.
    pub connector_id: u32,
    pub evse_id: u32,
    /// The same for ever, whatever protocol the charger speaks. Opaque.
    pub evse_uid: String,
    /// The plug, in OCPI's words.
    #[serde(rename = "type")]
    #[schema(example = "IEC_62196_T2")]
    pub kind: Option<String>,
    pub max_power_w: Option<u32>,
    /// available, preparing, charging, suspended, finishing, reserved, unavailable, faulted, occupied, or unknown (offline,
    /// or not refreshed since it came back; also what to take an unknown word for).
    #[schema(example = "available")]
    pub status: String,
    /// The charger's own word.
    pub ocpp_status: Option<String>,
    pub error_code: Option<String>,
    pub status_at: Option<Timestamp>,
    /// Of the session that holds it: the caller's own; for operators whosever it is.
    pub session_id: Option<String>,
}

/// `GET /api/chargers/{id}/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargerStatus {
    pub charger_id: String,
    pub online: bool,
    pub status: String,
    pub status_at: Option<Timestamp>,
    pub connectors: Vec<ConnectorStatus>,
    pub position: i64,
}

/// How a connector is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorStatus {
    pub connector_id: u32,
    pub evse_id: u32,
    pub evse_uid: String,
    pub status: String,
    pub ocpp_status: Option<String>,
    pub error_code: Option<String>,
    pub status_at: Option<Timestamp>,
}

impl From<Charger> for ChargerStatus {
    fn from(charger: Charger) -> Self {
        let connectors = charger.connectors.into_iter().map(|connector| ConnectorStatus {
            connector_id: connector.connector_id,
            evse_id: connector.evse_id,
            evse_uid: connector.evse_uid,
            status: connector.status,
            ocpp_status: connector.ocpp_status,
            error_code: connector.error_code,
            status_at: connector.status_at,
        });
        Self {
            connectors: connectors.collect(),
            charger_id: charger.charger_id,
            online: charger.online,
            status: charger.status,
            status_at: charger.status_at,
            position: charger.position,
        }
    }
}
