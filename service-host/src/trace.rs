//! The trace that follows one request or charger message through the log to a phone (W3C Trace Context, level 1).

use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// 16 bytes, never all zero; written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(u128);

impl TraceId {
    pub fn random() -> Self {
        Self(rand::rng().random_range(1..=u128::MAX))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trace id or traceparent of W3C Trace Context")]
pub struct InvalidTrace;

impl FromStr for TraceId {
    type Err = InvalidTrace;

    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        hex(text, 32).filter(|value| *value != 0).map(Self).ok_or(InvalidTrace)
    }
}

impl TryFrom<String> for TraceId {
    type Error = InvalidTrace;

    fn try_from(text: String) -> Result<Self, InvalidTrace> {
        text.parse()
    }
}

/// A trace, and the step of it that is being carried out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: TraceId,
    /// The id of our own step, not zero.
    span_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// Starts a trace.
    pub fn new() -> Self {
        Self { trace_id: TraceId::random(), span_id: random_span(), sampled: true }
    }

    /// Carries a caller's trace on with a step of our own; an unreadable header starts a new trace (section 4.3).
    pub fn continued_from(header: Option<&str>) -> Self {
        match header.and_then(|text| text.parse::<Self>().ok()) {
            Some(caller) => Self { span_id: random_span(), ..caller },
            None => Self::new(),
        }
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTrace;

    /// Reads `traceparent`. A version above 00 may carry more fields, which are ignored (section 3.2.4).
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let mut fields = text.trim().split('-');
        let mut next = || fields.next().ok_or(InvalidTrace);
        let version = hex(next()?, 2).ok_or(InvalidTrace)?;
        let trace_id = next()?.parse()?;
        let span_id = hex(next()?, 16).filter(|value| *value != 0).ok_or(InvalidTrace)?;
        let flags = hex(next()?, 2).ok_or(InvalidTrace)?;
        let more = fields.next().is_some();
        if version == 0xff || (version == 0 && more) {
            return Err(InvalidTrace);
        }
        Ok(Self { trace_id, span_id: span_id as u64, sampled: flags & 1 == 1 })
    }
}

/// The trace of the request at hand; [`crate::Host::finish`] puts it there.
impl<S: Send + Sync> FromRequestParts<S> for TraceContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

fn random_span() -> u64 {
    rand::rng().random_range(1..=u64::MAX)
}

/// Exactly `digits` lower-case hex digits, as the specification wants them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_carried_on_with_a_step_of_our_own() {
        let ours = TraceContext::continued_from(Some(PARENT));
        assert_eq!(ours.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(ours.to_string(), PARENT);
        assert_eq!(ours.to_string().parse(), Ok(ours));
    }

    #[test]
    fn what_is_not_a_traceparent_starts_a_new_trace() {
        let broken = [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ];
        for header in broken {
            assert_eq!(header.parse::<TraceContext>(), Err(InvalidTrace), "{header}");
        }
        assert!("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more".parse::<TraceContext>().is_ok());
    }
}
