use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::Timestamp;

/// A tariff in its newest version. A session keeps the version that it began under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tariff {
    pub tariff_id: String,
    pub version: u32,
    pub name: String,
    /// As it was published, in OCPI's form: currency, taxes and elements with prices and restrictions.
    #[schema(value_type = Object)]
    pub tariff: serde_json::Value,
    pub published_at: Timestamp,
    pub position: i64,
}
