use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::Timestamp;

/// As of when an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsOf {
    /// Everything up to here is in the answer, and nothing after it.
    pub position: i64,
    /// When the event at the position was recorded; null before the first one.
    pub recorded_at: Option<Timestamp>,
}

/// A resource or a page. Asked for with `as_of`, it says as of when it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Dated<T> {
    #[serde(flatten)]
    pub body: T,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
}
