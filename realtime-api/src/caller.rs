//! Who asks, from the header `Authorization`.

use application::auth::Caller;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use service_host::{Code, Problem, required_bearer};

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
        Ok(Self(api.verify(required_bearer(&parts.headers)?).await?))
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
