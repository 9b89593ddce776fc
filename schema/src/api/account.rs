//! Bodies of `/api/auth`.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that is shown to nobody: not in logs, not in errors.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// `POST /api/auth/register`: a driver makes an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterAccount {
    #[schema(example = "driver@example.org", max_length = 254)]
    pub email: String,
    #[schema(min_length = 8, max_length = 256)]
    pub password: Secret,
    #[schema(example = "Maria Example", max_length = 200)]
    pub name: String,
    /// With the country code; spaces, dots, hyphens and parentheses are ignored.
    #[serde(default)]
    #[schema(example = "+49 30 901820")]
    pub phone: Option<String>,
}

/// `POST /api/auth/login`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(example = "driver@example.org")]
    pub email: String,
    pub password: Secret,
    /// Names the device: a login ends what was open on the same one.
    #[serde(default)]
    #[schema(example = "3f0c2c3e-phone", max_length = 128)]
    pub device_id: Option<String>,
}

/// `POST /api/auth/refresh`: the token is exchanged for its successor.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    pub refresh_token: Secret,
}

/// `POST /api/auth/logout`: ends what is open on the device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    pub refresh_token: Secret,
}

/// What register, login and refresh answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer …` and the WebSocket.
    pub access_token: Secret,
    /// Good for one exchange.
    pub refresh_token: Secret,
    /// Seconds for which the access token is good.
    #[schema(example = 900)]
    pub expires_in: i64,
    pub token_type: TokenType,
}

/// How the access token is presented (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TokenType {
    Bearer,
}
