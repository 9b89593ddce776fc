//! The rows that make names unique: a charger's identity, a token's value, a transaction's number.
//!
//! A row is made before the event that uses it, and never taken back: after a crash in between, the same name finds the
//! same stream.

mod chargers;
mod tokens;
mod transactions;

pub(crate) use chargers::Proposal;
pub use chargers::{ChargerEntry, Chargers};
pub use tokens::Tokens;
pub use transactions::Transactions;
