//! What queries answer and sockets send: the public resources.
//!
//! What is unknown is null. Lists of words may grow: a client treats an unknown word as the documented fallback.

mod as_of;
mod charger;
mod command;
mod me;
mod meter_values;
mod people;
mod session;
mod site;
mod tariff;
mod value;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use as_of::{AsOf, Dated};
pub use charger::{Charger, ChargerConnector, ChargerSite, ChargerStatus, ConnectorStatus, Price};
pub use command::{Command, RequestedBy};
pub use me::{Me, MePlan};
pub use meter_values::MeterValues;
pub use people::{Driver, Token};
pub use session::{Session, SessionCost, SessionFailure};
pub use site::{Address, Coordinates, Site};
pub use tariff::Tariff;
pub use value::{Money, Number, Timestamp};

/// A part of a list. `next` is null on the last page; otherwise it is given back as `?cursor=`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The read models held everything up to here when the page was read.
    pub position: i64,
    pub items: Vec<T>,
    pub next: Option<String>,
}
