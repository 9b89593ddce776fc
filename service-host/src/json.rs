//! Extractors that refuse with a problem which names the field, instead of axum's plain text.

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// A JSON body, read or written.
///
/// Refused with `invalid-request`: 400 when it is not JSON, 422 with the member `field` when a value does not fit;
/// with `too-large` above the limit of the router.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::InvalidRequest, "The header Content-Type must be application/json.")
                .with("field", "Content-Type"));
        }
        let body = Bytes::from_request(request, state).await.map_err(unread_body)?;
        let mut deserializer = serde_json::Deserializer::from_slice(&body);
        let value: T = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| unfit(&error.path().to_string(), error.inner()))?;
        deserializer.end().map_err(|error| unfit(".", &error))?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned> Json<T> {
    /// JSON that came in another way than as a body, refused in the same words.
    ///
    /// # Errors
    /// `invalid-request` with the member `field`.
    pub fn of(value: serde_json::Value) -> Result<Self, Problem> {
        let fitting = serde_path_to_error::deserialize(value);
        fitting.map(Self).map_err(|error| unfit(&error.path().to_string(), error.inner()))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The query string. Refused with `invalid-request` 400 and the member `field`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // axum's own reports the path of the field as the start of its text only, so the pairs are deserialized here.
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let mut problem = Problem::new(Code::InvalidRequest, format!("The query is not valid: {}.", error.inner()));
            let field = error.path().to_string();
            if field != "." {
                problem = problem.with("field", field);
            }
            problem
        })
    }
}

/// The variable parts of the path. Refused with `not-found`, since such a resource can't exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(Code::NotFound, rejection.body_text())),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn unread_body(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::new(Code::TooLarge, "The body is larger than this service accepts.")
        }
        _ => Problem::new(Code::InvalidRequest, "The body ended before it was complete."),
    }
}

fn unfit(path: &str, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        // serde puts the place at the end; a person wants the field first.
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or(&said);
        let field = missing_field(path, said).unwrap_or_else(|| path.to_owned());
        let detail = if field == "." { format!("{said}.") } else { format!("{field}: {said}.") };
        return Problem::invalid_field(&field, detail);
    }
    Problem::new(Code::InvalidRequest, format!("The body is not JSON: {error}."))
}

/// The path of a missing field ends at the object that lacks it; clients want the field itself.
fn missing_field(path: &str, said: &str) -> Option<String> {
    let name = said.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some(if path == "." { name.to_owned() } else { format!("{path}.{name}") })
}
