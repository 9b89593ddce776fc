//! Tariffs, and the one function that prices a session.
//!
//! [`Tariff`] is the content of one version of a tariff, as OCPI 2.2.1 and 2.3 define it (mod_tariffs). [`ChargeFacts`]
//! is what pricing needs to know of a session, kept small however long the session is. [`price`] turns both into a
//! [`PricedSession`]: the same function, at every reading and at the end.

mod boundaries;
mod charge_facts;
mod model;
mod number;
mod price;
mod priced_session;
mod restrictions;
mod timeline;
mod usage;
mod validate;

#[cfg(test)]
mod tests;

pub use charge_facts::{ChargeFacts, EnergyPoint};
pub use model::{ComponentType, DayOfWeek, LocalTime, PriceComponent, Restrictions, Tariff, TariffElement, Tax};
pub use price::price;
pub use priced_session::{Activity, AppliedTax, LineKind, PriceLine, PricedPeriod, PricedSession};
pub use validate::{Error, Problem};
