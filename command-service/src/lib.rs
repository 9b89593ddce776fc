//! What drivers and operators ask for over HTTP, and the accounts they ask as.
//!
//! A request is read, its caller known, and a command given to `application`; nothing is decided here. The routes are one
//! screen: [`router`].

pub mod accounts;
mod clock;
mod config;
mod http;
mod limit;
pub mod process;
mod run;

pub use clock::Clock;
pub use config::{CommandArgs, Config, NotARate, OperatorLogin, Settings};
pub use http::{Api, RequestRates, openapi, router};
pub use limit::{Network, NotANetwork, Rate, TrustedProxies};
pub use run::{Error, run, start};
