//! The business of charging: aggregates, commands, events, refusals, prices.
//!
//! No IO, no SQL, and no clock: what time it is comes in with the command. A command may be refused; what a charger
//! reports may not: it is recorded, and what does not fit is flagged for people.

pub mod aggregate;
pub mod charge_point;
pub mod disclosure;
pub mod driver;
pub mod envelope;
pub mod event;
pub mod id;
pub mod log;
pub mod outlet;
pub mod plan;
pub mod published_tariff;
pub mod read_model;
pub mod refusal;
pub mod session;
pub mod site;
pub mod station_command;
pub mod token;
pub mod word;

pub mod clock;
pub mod meter;
pub mod money;
pub mod tariff;

pub use aggregate::Decide;
pub use event::{AggregateType, Event};
pub use refusal::Refusal;
