//! The routes and layers that every HTTP or admin port has.

use std::any::Any;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use crate::json::Json;
use crate::problem::{Code, Problem};
use crate::readiness::Readiness;
use crate::{metrics, observe};

/// The largest body of a request, in bytes, unless a route sets another [`DefaultBodyLimit`].
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the services of one process share on the outside: readiness and metrics. Cheap to clone.
#[derive(Clone, Default)]
pub struct Host {
    readiness: Readiness,
}

impl Host {
    /// Also installs the process's metrics recorder, so that nothing recorded later is lost.
    pub fn new() -> Self {
        metrics::handle();
        Self::default()
    }

    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Completes a router: `/health`, `/ready`, `/metrics`, problems for unknown routes, wrong methods and panics, the
    /// body limit, and the request's span, trace id and metrics.
    ///
    /// Called once, on the merged router of all services on a port; `api` must not have a fallback of its own.
    pub fn finish(&self, api: Router) -> Router {
        let admin = Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics_text))
            .with_state(self.readiness.clone());
        api.merge(admin)
            .fallback(unknown_route)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(observe::observe))
    }
}

/// Alive: the process answers. Says nothing about what it depends on, so that a database outage restarts nobody.
async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(readiness): State<Readiness>) -> Result<Json<Value>, Problem> {
    let failed = readiness.not_ready().await;
    if failed.is_empty() {
        let (degraded, told) = (readiness.degraded(), readiness.told());
        let mut answer = match degraded.is_empty() {
            true => json!({"status": "ready"}),
            false => json!({"status": "degraded", "degraded": degraded}),
        };
        if !told.is_empty() {
            answer["about"] = json!(told);
        }
        return Ok(Json(answer));
    }
    let names = failed.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let reasons: Map<String, Value> = failed.into_iter().map(|(name, why)| (name, why.0.into())).collect();
    Err(Problem::new(Code::Unavailable, format!("Not ready: {names}.")).with("not_ready", reasons))
}

async fn metrics_text() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render()).into_response()
}

async fn unknown_route(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("There is no {method} {}.", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} does not answer to {method}.", uri.path()))
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("of an unknown type"), "a handler panicked");
    Problem::internal().into_response()
}
