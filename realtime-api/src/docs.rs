//! A page to read the API and to try it. It reads `/openapi.json` beside it, and loads nothing from elsewhere.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

/// Nothing but what the page itself holds may run or be shown, and it may talk to its own origin only.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";

/// `/docs`, for a port that also has `/openapi.json`.
pub fn docs<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/docs", get(page))
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("docs.html")))
}
