//! What a charger says before its first message: which version, who it is, and how it proves it.

mod basic_auth;
mod charger_path;
mod refusal;
mod request;
mod subprotocol;

pub use basic_auth::BasicAuth;
pub use charger_path::{ChargerIdentity, IDENTITY_MAX_CHARS};
pub use refusal::Refusal;
pub use request::{Opening, ReadError, accept};
pub use subprotocol::{Negotiated, Version, negotiate};

/// Why the opening request cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Answered with 404 (OCPP-J 1.6 section 3.2).
    #[error("the path is not that of a charger: /{{id}} or /ocpp/{{id}}")]
    Path,
    /// Answered with 404.
    #[error("the charger's identity is not 1 to 48 printable characters")]
    Identity,
    /// Answered with 401.
    #[error("the Authorization header is not Basic with user and password")]
    Authorization,
}
