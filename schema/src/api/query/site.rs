use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::Timestamp;

/// Where chargers stand, in whose time and money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Site {
    pub site_id: String,
    pub name: String,
    pub address: Address,
    pub coordinates: Option<Coordinates>,
    /// IANA name: times of day of tariffs are in it.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    pub tariff_id: Option<String>,
    pub registered_at: Timestamp,
    pub position: i64,
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    pub street: String,
    pub postal_code: Option<String>,
    pub city: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// WGS 84, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Coordinates {
    pub latitude: f64,
    pub longitude: f64,
}
