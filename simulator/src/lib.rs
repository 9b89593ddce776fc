//! Virtual chargers and virtual drivers.
//!
//! They speak only the public protocols (OCPP 1.6 JSON, HTTP and the WebSocket of docs/websocket.md), so that a demo, a test or a
//! load made of them shows what real ones would see. Many fit into one process: a charger is one task and one socket.
//!
//! - [`charger`]: a charge point with connectors, cars and a bad network.
//! - [`phone`]: an account, its tokens, and what a phone holds of the topics it follows.
//! - [`town`]: chargers and drivers that live on their own, from a seed.

mod backoff;
pub mod charger;
pub mod phone;
pub mod town;
mod websocket;

pub use backoff::Backoff;
