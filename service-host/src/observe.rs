//! What is seen of each request: a span with its trace id, a count and a duration by route.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::trace::TraceContext;

const TRACEPARENT: &str = "traceparent";

/// The outermost layer: accepts and answers `traceparent`, opens the span, measures.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let trace = TraceContext::continued_from(header(&request));
    request.extensions_mut().insert(trace);

    let method = method_label(request.method());
    // The pattern and not the path: a label per charger would grow without end, and paths hold ids of people.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();

    let span = tracing::info_span!("request", method, route, trace_id = %trace.trace_id);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();

    let status = response.status();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), elapsed_us = elapsed.as_micros() as u64, "answered"));
    metrics::counter!("coulomb_http_requests_total", "method" => method, "route" => route.clone(),
        "status" => status.as_u16().to_string())
    .increment(1);
    metrics::histogram!("coulomb_http_request_duration_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());

    if let Ok(value) = HeaderValue::try_from(trace.to_string()) {
        response.headers_mut().insert(TRACEPARENT, value);
    }
    response
}

fn header(request: &Request) -> Option<&str> {
    request.headers().get(TRACEPARENT)?.to_str().ok()
}

/// A client may invent methods; a label must not follow it.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
