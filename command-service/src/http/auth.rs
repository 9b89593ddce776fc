//! Registering, logging in and out.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::api::account::{Login, Logout, Refresh, RegisterAccount, Tokens};
use service_host::Json;

use super::openapi::AuthRefusals;
use super::problem::Failed;
use super::state::{Api, ClientAddress};

/// Make an account, as a driver.
///
/// Who lost the answer registers again with the same password, or logs in.
#[utoipa::path(post, path = "/api/auth/register", tag = "accounts", request_body = RegisterAccount, security(()),
    responses(
        (status = 200, body = Tokens),
        (status = 409, description = "email-taken", body = schema::api::command::Problem,
            content_type = "application/problem+json"),
        AuthRefusals))]
pub(super) async fn register(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    body: Body<RegisterAccount>,
) -> Result<LoggedIn, Failed> {
    let account = (&body?.0).try_into()?;
    Ok(LoggedIn(api.accounts.register(account, address, api.clock.now()).await?))
}

/// Log in.
#[utoipa::path(post, path = "/api/auth/login", tag = "accounts", request_body = Login, security(()),
    responses((status = 200, body = Tokens), AuthRefusals))]
pub(super) async fn login(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    body: Body<Login>,
) -> Result<LoggedIn, Failed> {
    let request = (&body?.0).try_into()?;
    Ok(LoggedIn(api.accounts.login(request, address, api.clock.now()).await?))
}

/// Exchange a refresh token for a new pair.
///
/// Each token is good for one exchange. Who lost the answer may ask again within 60 seconds, before the new token was
/// used, and gets the same one. A token that comes back later logs its device out.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "accounts", request_body = Refresh, security(()),
    responses((status = 200, body = Tokens), AuthRefusals))]
pub(super) async fn refresh(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    body: Body<Refresh>,
) -> Result<LoggedIn, Failed> {
    let token = body?.0.refresh_token;
    Ok(LoggedIn(api.accounts.refresh(token.expose(), address, api.clock.now()).await?))
}

/// Log a device out.
///
/// Its refresh tokens are good for nothing any more. Access tokens end by themselves, within 15 minutes.
#[utoipa::path(post, path = "/api/auth/logout", tag = "accounts", request_body = Logout, security(()),
    responses((status = 204, description = "Logged out, or was before"), AuthRefusals))]
pub(super) async fn logout(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    body: Body<Logout>,
) -> Result<StatusCode, Failed> {
    let token = body?.0.refresh_token;
    api.accounts.logout(token.expose(), address, api.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A body, or the problem with it, which is answered like any other.
type Body<T> = Result<Json<T>, service_host::Problem>;

pub(super) struct LoggedIn(Tokens);

impl IntoResponse for LoggedIn {
    fn into_response(self) -> Response {
        // RFC 6749, section 5.1.
        ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self.0)).into_response()
    }
}
