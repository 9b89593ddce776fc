//! Who asks, from the header `Authorization`.

use application::auth::Caller;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use service_host::{Code, Problem};

use crate::failed::Failed;
use crate::state::Api;

/// A caller whose token is good.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Caller);

/// A caller who is an operator of the network.
#[derive(Debug, Clone)]
pub struct OperatorOnly(pub Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failed> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "The header Authorization must be: Bearer and an access token.")
        })?;
        Ok(Self(api.verify(token).await?))
    }
}

impl FromRequestParts<Api> for OperatorOnly {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failed> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, api).await?;
        match caller.is_operator() {
            true => Ok(Self(caller)),
            false => Err(operators_only().into()),
        }
    }
}

pub fn operators_only() -> Problem {
    Problem::new(Code::Forbidden, "Only operators of the network may see this.")
}

/// RFC 6750, section 2.1. The scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}
