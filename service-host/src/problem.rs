//! Refusals as clients see them: RFC 9457 `application/problem+json`.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The media type of RFC 9457, section 3.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// When it is worth trying again after something that is out of reach.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Every reason for which a request is refused, as the last part of a problem's `type`.
///
/// Status and title belong to the code, so that one refusal looks the same wherever it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    NoActivePlan,
    Forbidden,
    ChargerUnknown,
    SessionUnknown,
    CommandUnknown,
    DriverUnknown,
    TokenUnknown,
    ChargerOffline,
    ConnectorOccupied,
    ConnectorFaulted,
    SessionOpen,
    SessionOver,
    AlreadyExists,
    EmailTaken,
    IdempotencyConflict,
    Unauthenticated,
    TooLarge,
    RateLimited,
    /// The request can't be read as what it should be: not JSON, not the media type, not a query string.
    InvalidRequest,
    /// The request can be read, and a value in it is not acceptable. The same `type` as [`Code::InvalidRequest`].
    InvalidValue,
    PositionNotReached,
    /// What was then can't be said any more.
    HistoryNotKept,
    Unavailable,
    NotFound,
    MethodNotAllowed,
    Timeout,
    Internal,
}

impl Code {
    /// All codes, for documents that list them.
    pub const ALL: [Code; 27] = [
        Code::NoActivePlan,
        Code::Forbidden,
        Code::ChargerUnknown,
        Code::SessionUnknown,
        Code::CommandUnknown,
        Code::DriverUnknown,
        Code::TokenUnknown,
        Code::ChargerOffline,
        Code::ConnectorOccupied,
        Code::ConnectorFaulted,
        Code::SessionOpen,
        Code::SessionOver,
        Code::AlreadyExists,
        Code::EmailTaken,
        Code::IdempotencyConflict,
        Code::Unauthenticated,
        Code::TooLarge,
        Code::RateLimited,
        Code::InvalidRequest,
        Code::InvalidValue,
        Code::PositionNotReached,
        Code::HistoryNotKept,
        Code::Unavailable,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Timeout,
        Code::Internal,
    ];

    /// The word in `/problems/<word>`.
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    /// A short sentence that does not change from one occurrence to the next.
    pub const fn title(self) -> &'static str {
        self.parts().2
    }

    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Code::NoActivePlan => ("no-active-plan", StatusCode::FORBIDDEN, "No active plan"),
            Code::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            Code::ChargerUnknown => ("charger-unknown", StatusCode::NOT_FOUND, "Unknown charger"),
            Code::SessionUnknown => ("session-unknown", StatusCode::NOT_FOUND, "Unknown session"),
            Code::CommandUnknown => ("command-unknown", StatusCode::NOT_FOUND, "Unknown command"),
            Code::DriverUnknown => ("driver-unknown", StatusCode::NOT_FOUND, "Unknown driver"),
            Code::TokenUnknown => ("token-unknown", StatusCode::NOT_FOUND, "Unknown token"),
            Code::ChargerOffline => ("charger-offline", StatusCode::CONFLICT, "The charger is offline"),
            Code::ConnectorOccupied => ("connector-occupied", StatusCode::CONFLICT, "The connector is occupied"),
            Code::ConnectorFaulted => ("connector-faulted", StatusCode::CONFLICT, "The connector is faulted"),
            Code::SessionOpen => ("session-open", StatusCode::CONFLICT, "A session is open"),
            Code::SessionOver => ("session-over", StatusCode::CONFLICT, "The session is over"),
            Code::AlreadyExists => ("already-exists", StatusCode::CONFLICT, "It exists already"),
            Code::EmailTaken => ("email-taken", StatusCode::CONFLICT, "The e-mail address is taken"),
            Code::IdempotencyConflict => {
                ("idempotency-conflict", StatusCode::CONFLICT, "The key was used with another body")
            }
            Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED, "Not authenticated"),
            Code::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Code::RateLimited => ("rate-limited", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Code::InvalidRequest => ("invalid-request", StatusCode::BAD_REQUEST, "The request is not valid"),
            Code::InvalidValue => ("invalid-request", StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid"),
            Code::PositionNotReached => {
                ("position-not-reached", StatusCode::SERVICE_UNAVAILABLE, "The position is not reached yet")
            }
            Code::HistoryNotKept => ("history-not-kept", StatusCode::GONE, "The history is not kept"),
            Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
            Code::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing here"),
            Code::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Code::Timeout => ("timeout", StatusCode::REQUEST_TIMEOUT, "The request took too long"),
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
        }
    }
}

/// One refusal: its code, a sentence for this occurrence, and members that a program can use.
///
/// Serializes to the problem object, so that the WebSocket sends the same refusal as its HTTP twin.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), members: Map::new(), retry_after: None }
    }

    /// An error of ours. What went wrong belongs into the log; the client learns only that it was not them.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "The request could not be carried out; it may be tried again.")
    }

    /// What is needed is out of reach now, and may be back in a second.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, detail).retry_after(UNAVAILABLE_RETRY_AFTER)
    }

    /// A refusal that was decided where nothing is known of HTTP's types. Its code decides on the title, so that it looks
    /// the same wherever it comes from.
    ///
    /// One whose code is not known here is told as an error of ours: it was kept under an idempotency key by a newer version.
    pub fn decided(code: &str, status: u16, detail: String, field: Option<String>, retry_after_s: Option<u32>) -> Self {
        let Some(known) = Code::ALL.into_iter().find(|known| known.as_str() == code && known.status() == status) else {
            tracing::error!(code, status, "a refusal has a code that is not known here");
            return Self::internal();
        };
        let mut problem = Self::new(known, detail);
        if let Some(field) = field {
            problem = problem.with("field", field);
        }
        problem.retry_after = retry_after_s.map(|seconds| Duration::from_secs(seconds.into()));
        problem
    }

    /// A value in the request is not acceptable; `field` is its path in the body or query, such as `evses[0].power`.
    pub fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidValue, detail).with("field", field)
    }

    /// Adds an extension member (RFC 9457, section 3.2). The standard members can't be replaced.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if !matches!(member, "type" | "title" | "status" | "detail") {
            self.members.insert(member.to_owned(), value.into());
        }
        self
    }

    /// Says when to try again: the header `Retry-After` in whole seconds, and a member `retry_after_s`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Rounded up: a client that waits this long is not too early.
    fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_millis().div_ceil(1000) as u64)
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("/problems/{}", self.code.as_str()))?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status().as_u16())?;
        map.serialize_entry("detail", &self.detail)?;
        if let Some(seconds) = self.retry_after_s() {
            map.serialize_entry("retry_after_s", &seconds)?;
        }
        for (member, value) in &self.members {
            map.serialize_entry(member, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("strings and JSON values always serialize");
        let mut response = (self.code.status(), [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            // RFC 9110, section 15.5.2: a 401 names the scheme.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_rfc_and_its_own() {
        let problem = Problem::new(Code::RateLimited, "Five attempts a minute.")
            .with("limit", 5)
            .with("status", 200)
            .retry_after(Duration::from_millis(1200));
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            json!({"type": "/problems/rate-limited", "title": "Too many requests", "status": 429,
                   "detail": "Five attempts a minute.", "retry_after_s": 2, "limit": 5})
        );
        let response = problem.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_decided_refusal_looks_like_any_other() {
        let problem = |code, status| Problem::decided(code, status, "No.".to_owned(), Some("a".to_owned()), Some(2));
        let expected = Problem::invalid_field("a", "No.").retry_after(Duration::from_secs(2));
        assert_eq!(problem("invalid-request", 422), expected);
        assert_eq!(problem("invalid-request", 400).code(), Code::InvalidRequest);
        for (code, status) in [("invalid-request", 404), ("of-a-newer-version", 409)] {
            assert_eq!(problem(code, status), Problem::internal());
        }
    }

    #[test]
    fn both_invalid_statuses_share_one_type() {
        assert_eq!(Code::InvalidRequest.as_str(), Code::InvalidValue.as_str());
        assert_eq!(
            (Code::InvalidRequest.status(), Code::InvalidValue.status()),
            (StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY)
        );
    }
}
