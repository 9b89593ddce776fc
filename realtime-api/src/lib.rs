//! Queries and subscriptions on read models: what phones and consoles see, and see change.
//!
//! [`run`] is the service alone on a port; a process that runs several services takes [`Service::start`] and
//! [`Service::router`], and [`openapi`] and [`docs`] for its merged documents.

mod asyncapi;
mod caller;
mod config;
mod directory;
mod docs;
mod failed;
mod hub;
mod query;
mod resource;
mod service;
mod socket;
mod state;
mod trace;

pub use config::{Config, Limits, RealtimeArgs, Settings};
pub use docs::docs;
pub use query::openapi::openapi;
pub use service::{Error, Service, run};
pub use socket::MessageRate;
