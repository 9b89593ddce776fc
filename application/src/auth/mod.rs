//! Access tokens: JSON Web Tokens signed with Ed25519 (RFC 8037), short-lived, under keys that rotate.

mod ed25519;
mod keys;
mod signer;
mod verifier;

use chrono::{DateTime, Utc};
use domain::envelope::Actor;
use domain::id::{DriverId, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use signer::make_signing_key;
pub use signer::{AccessToken, Error as SigningError, Signer};
pub use verifier::{Unauthenticated, Verifier};

/// How long an access token is good, in seconds.
pub const ACCESS_TOKEN_LIFE_S: i64 = 15 * 60;
/// How old a signing key gets before a new one takes over.
const KEY_LIFE_S: i64 = 24 * 60 * 60;
const ISSUER: &str = "coulomb";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Driver,
    Operator,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Operator => "operator",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Driver, Self::Operator].into_iter().find(|role| role.as_str() == word)
    }
}

/// Who calls, as a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub tenant_id: TenantId,
    pub user_id: Uuid,
    pub role: Role,
    pub expires_at: DateTime<Utc>,
}

impl Caller {
    /// The driver that the caller is; none for an operator.
    pub fn driver_id(&self) -> Option<DriverId> {
        (self.role == Role::Driver).then_some(DriverId(self.user_id))
    }

    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    pub fn actor(&self) -> Actor {
        match self.role {
            Role::Driver => Actor::driver(DriverId(self.user_id)),
            Role::Operator => Actor::operator(self.user_id),
        }
    }
}

/// The content of a token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: Uuid,
    tenant: Uuid,
    role: Role,
    iat: i64,
    exp: i64,
}
