//! What every process of Coulomb needs, and nothing about charging: configuration, logs, metrics, health, signals,
//! problem answers, and an HTTP server that drains.
//!
//! A service builds its [`axum::Router`], wraps it with [`Host::finish`] and hands it to [`serve`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let shutdown = service_host::Shutdown::new();
//! let host = service_host::Host::new();
//! let router = host.finish(axum::Router::new());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! service_host::serve(router, listener, shutdown, service_host::ServeLimits::default()).await;
//! # Ok(()) }
//! ```

mod bearer;
pub mod config;
mod drain;
mod host;
mod json;
pub mod logging;
pub mod metrics;
mod observe;
mod problem;
mod readiness;
mod serve;
mod shutdown;
mod trace;

pub use bearer::{bearer, required_bearer};
pub use drain::{drain_step, tell_evenly};
pub use host::{BODY_BYTES_MAX, Host};
pub use json::{Json, Path, Query};
pub use problem::{Code, Problem};
pub use readiness::{Gate, NotReady, Readiness};
pub use serve::{ServeLimits, serve};
pub use shutdown::Shutdown;
pub use trace::{TraceContext, TraceId};
