//! A driver's or operator's phone: an account over HTTP, and topics over the WebSocket.
//!
//! [`Account`] logs in, renews its tokens and sends requests. [`Line`] keeps a socket open, comes back when it is lost, and
//! holds what the server has said of each topic ([`Held`]). [`Phone`] is both, with what drivers do.

mod account;
mod again;
mod driver;
mod error;
mod held;
mod line;
mod put_off;

pub use account::{Account, Person};
pub use driver::{Accepted, Phone};
pub use error::{Error, Problem};
pub use held::{Heard, Held, Resource, Topic};
pub use line::{Line, LineConfig, LineEvent, TokenBy};
