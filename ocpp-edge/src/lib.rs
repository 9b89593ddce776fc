//! Charger sockets: OCPP frames, what chargers of any make put into them, and how a socket is opened.
//!
//! Lenient in what is accepted, strict in what is sent: a charger in the field cannot be mended from here, and one that
//! is refused stops charging cars. So reading tolerates and *names* what it tolerated ([`lenient::Deviation`]), and only
//! a message that cannot be acted on at all is answered with a CALLERROR ([`lenient::Refused`]).
//!
//! ```
//! use ocpp_edge::frame::{self, Frame};
//! use ocpp_edge::v16::from_charger::{Request, StopTransaction};
//!
//! let text = r#"[2,"17","StopTransaction",{"transactionId":"7","meterStop":1200.0,"timestamp":"2026-03-01T12:00:00"}]"#;
//! let Ok(Frame::Call(call)) = frame::read(text) else { panic!("a call") };
//! let parsed = Request::parse(&call.action, call.payload).expect("a StopTransaction is never refused");
//!
//! let Request::StopTransaction(StopTransaction::Of { transaction_id, stop }) = parsed.message else { panic!("a stop") };
//! assert_eq!((transaction_id, stop.meter_stop_wh), (7, Some(1200.into())));
//! let tolerated: Vec<_> = parsed.deviations.iter().map(ToString::to_string).collect();
//! assert_eq!(tolerated, ["transactionId is of another type", "meterStop is not an integer", "timestamp has no time zone"]);
//! ```

mod config;
mod connection;
mod edge;
mod follow;
pub mod frame;
pub mod handshake;
pub mod json;
mod lease;
pub mod lenient;
mod mailbox;
mod open;
mod passwords;
mod persist;
mod pulse;
mod refresh;
mod run;
mod socket;
pub mod v16;

pub use config::{Config, Limits, UnknownChargers};
pub use lease::LEASE_TTL;
pub use run::{Error, run};

#[cfg(test)]
mod never_panics;
