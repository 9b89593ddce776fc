//! What every answer carries: how far the views were, and in which history.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use schema::view::Reached;
use serde::Serialize;
use service_host::Json;

use crate::failed::Failed;

pub type Answer<T> = Result<Answered<T>, Failed>;

/// A body with the headers `Coulomb-Position` and `Coulomb-Generation`.
pub struct Answered<T> {
    pub reached: Reached,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert("coulomb-position", HeaderValue::from(self.reached.position.0));
        headers.insert("coulomb-generation", HeaderValue::from(self.reached.generation.0));
        (headers, Json(self.body)).into_response()
    }
}
