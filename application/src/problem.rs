//! Errors as clients see them (RFC 9457), in no transport's types. This is the one place where they are mapped.

use std::borrow::Cow;

use domain::refusal::Refusal;
use serde::{Deserialize, Serialize};

use crate::auth::Unauthenticated;
use crate::error::Error;

/// What to tell a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub status: u16,
    /// The last part of `type`.
    pub code: Cow<'static, str>,
    pub title: Cow<'static, str>,
    pub detail: String,
    /// The field of the request that it is about.
    pub field: Option<Cow<'static, str>>,
    /// When it is worth trying again.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: u16, code: &'static str, title: &'static str, detail: String) -> Self {
        Self { status, code: code.into(), title: title.into(), detail, field: None, retry_after_s: None }
    }

    fn unavailable(detail: String) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(503, "unavailable", "Unavailable", detail) }
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let (status, title) = match refusal {
            Refusal::NoActivePlan => (403, "No active plan"),
            Refusal::Forbidden(_) => (403, "Forbidden"),
            Refusal::ChargerUnknown => (404, "Unknown charger"),
            Refusal::SessionUnknown => (404, "Unknown session"),
            Refusal::CommandUnknown => (404, "Unknown command"),
            Refusal::DriverUnknown => (404, "Unknown driver"),
            Refusal::TokenUnknown => (404, "Unknown token"),
            Refusal::ChargerOffline => (409, "Charger offline"),
            Refusal::ConnectorOccupied => (409, "Connector occupied"),
            Refusal::ConnectorFaulted => (409, "Connector out of order"),
            Refusal::SessionOpen => (409, "Session open"),
            Refusal::SessionOver => (409, "Session over"),
            Refusal::Invalid { .. } => (422, "Invalid request"),
            Refusal::AlreadyExists(_) => (409, "Already exists"),
        };
        let mut problem = Self::new(status, refusal.code(), title, refusal.to_string());
        if let Refusal::Invalid { field, .. } = refusal {
            problem.field = Some((*field).into());
        }
        problem
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::RefusedBefore(problem) => problem.clone(),
            Error::IdempotencyConflict => {
                Self::new(409, "idempotency-conflict", "Idempotency key reused", error.to_string())
            }
            Error::Fenced | Error::Busy | Error::Behind | Error::Unavailable(_) => Self::unavailable(error.to_string()),
            Error::Unreadable(_) => Self::new(500, "internal", "Internal error", error.to_string()),
        }
    }
}

impl From<&Unauthenticated> for Problem {
    fn from(error: &Unauthenticated) -> Self {
        match error {
            Unauthenticated::Invalid | Unauthenticated::Expired => {
                Self::new(401, "unauthenticated", "Unauthenticated", error.to_string())
            }
            Unauthenticated::Unavailable(_) => Self::unavailable(error.to_string()),
        }
    }
}
