//! A virtual charge point that speaks OCPP 1.6 JSON.
//!
//! [`ChargerConfig`] says what it is, [`Charger::spawn`] switches it on, the [`ChargerHandle`] is what a person beside it
//! can do: plug a car in, show a card, pull the plug, break it. It goes when its last handle is dropped.
//!
//! `Station` is the charger without a network: what it is told and what it wants to say, at given moments. `link` gives it
//! a socket, loses it, and comes back. What belongs to a transaction is kept while there is no connection, and said with
//! the same content until it is acknowledged.

mod answer;
mod car;
mod config;
mod frame;
mod handle;
mod link;
mod outbox;
mod outlet;
mod station;
mod view;
mod witness;

pub use car::Car;
pub use config::{Answers, ChargerConfig, OutletConfig};
pub use frame::Frame;
pub use handle::{Charger, ChargerHandle, Impossible};
pub use view::{ChargerView, OutletView, Status};
pub use witness::{Acknowledged, Asked, Journal, Witness};
