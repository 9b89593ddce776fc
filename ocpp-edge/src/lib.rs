//! Charger sockets: OCPP frames, what chargers of any make put into them, and how a socket is opened.
//!
//! Lenient in what is accepted, strict in what is sent: a charger in the field cannot be mended from here, and one that
//! is refused stops charging cars. So reading tolerates and *names* what it tolerated ([`lenient::Deviation`]), and only
//! a message that cannot be acted on at all is answered with a CALLERROR ([`lenient::Refused`]).

pub mod frame;
pub mod handshake;
pub mod json;
pub mod lenient;
pub mod v16;

#[cfg(test)]
mod never_panics;
