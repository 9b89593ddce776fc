//! What every answer carries: how far the views were, and in which history.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use schema::api::query::{AsOf, Dated};
use schema::view::Reached;
use serde::Serialize;
use service_host::Json;

use super::when::When;
use crate::failed::Failed;

pub type Answer<T> = Result<Answered<T>, Failed>;

/// A body with the headers `Coulomb-Position` and `Coulomb-Generation`.
pub struct Answered<T> {
    pub reached: Reached,
    /// None: as it is now.
    pub as_of: Option<AsOf>,
    pub body: T,
}

impl<T> Answered<T> {
    pub fn new(when: &When, reached: Reached, body: T) -> Self {
        let as_of = when
            .moment()
            .map(|moment| AsOf { position: moment.position.0, recorded_at: moment.recorded_at.map(Into::into) });
        Self { reached, as_of, body }
    }
}

impl<T: Serialize> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert("coulomb-position", HeaderValue::from(self.reached.position.0));
        headers.insert("coulomb-generation", HeaderValue::from(self.reached.generation.0));
        (headers, Json(Dated { body: self.body, as_of: self.as_of })).into_response()
    }
}
