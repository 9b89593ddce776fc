//! Refusals and errors as problems. What the log says of an error is said here, once.

use std::borrow::Cow;

use application::auth::Unauthenticated;
use application::problem::Problem as Told;
use axum::response::{IntoResponse, Response};
use domain::refusal::Refusal;
use service_host::{Code, Problem};

use super::answer::Outcome;
use crate::accounts::{self, HashingError};
use crate::limit::Exhausted;

/// A request that was not carried out.
#[derive(Debug)]
pub(super) struct Failed(Problem);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let outcome = Outcome(self.0.code().as_str());
        let mut response = self.0.into_response();
        response.extensions_mut().insert(outcome);
        response
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self(problem_of(Told::from(&refusal)))
    }
}

impl From<application::Error> for Failed {
    fn from(error: application::Error) -> Self {
        if let application::Error::Unavailable(cause) | application::Error::Unreadable(cause) = &error {
            tracing::error!(error = chain(cause.as_ref()), "a command could not be carried out");
        }
        Self(problem_of(Told::from(&error)))
    }
}

impl From<Unauthenticated> for Failed {
    fn from(error: Unauthenticated) -> Self {
        if let Unauthenticated::Unavailable(cause) = &error {
            tracing::error!(error = chain(cause), "an access token could not be checked");
        }
        Self(problem_of(Told::from(&error)))
    }
}

impl From<Exhausted> for Failed {
    fn from(exhausted: Exhausted) -> Self {
        Self(Problem::new(Code::RateLimited, "Too many requests. Try again later.").retry_after(exhausted.retry_after))
    }
}

impl From<accounts::Error> for Failed {
    fn from(error: accounts::Error) -> Self {
        use accounts::Error;
        Self(match &error {
            Error::Invalid { field, .. } => Problem::invalid_field(field, error.to_string()),
            Error::EmailTaken => Problem::new(Code::EmailTaken, error.to_string()),
            Error::WrongCredentials | Error::RefreshTokenRefused => {
                Problem::new(Code::Unauthenticated, error.to_string())
            }
            Error::TooManyAttempts(exhausted) => {
                Problem::new(Code::RateLimited, error.to_string()).retry_after(exhausted.retry_after)
            }
            Error::Hashing(error) => return error.into(),
            Error::Database(_) | Error::Signing(_) | Error::Log(_) => {
                tracing::error!(error = chain(&error), "an account could not be used");
                Problem::unavailable("Accounts can't be reached right now. Try again.")
            }
        })
    }
}

impl From<&HashingError> for Failed {
    fn from(error: &HashingError) -> Self {
        match error {
            HashingError::Busy => Self(
                Problem::new(Code::Unavailable, "Too many people are logging in right now. Try again.")
                    .retry_after(HashingError::BUSY_RETRY_AFTER),
            ),
            HashingError::Argon2(_) | HashingError::Cost(_) | HashingError::BrokenOff(_) => {
                tracing::error!(error = chain(error), "a password could not be hashed");
                Self(Problem::internal())
            }
        }
    }
}

/// The problem in HTTP's types.
fn problem_of(told: Told) -> Problem {
    let Told { status, code, title: _, detail, field, retry_after_s } = told;
    Problem::decided(&code, status, detail, field.map(Cow::into_owned), retry_after_s)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every refusal that the domain knows has a code here, with the same status.
    #[test]
    fn refusals_keep_their_codes() {
        for refusal in [
            Refusal::NoActivePlan,
            Refusal::Forbidden("No."),
            Refusal::ChargerUnknown,
            Refusal::SessionUnknown,
            Refusal::CommandUnknown,
            Refusal::DriverUnknown,
            Refusal::TokenUnknown,
            Refusal::ChargerOffline,
            Refusal::ConnectorOccupied,
            Refusal::ConnectorFaulted,
            Refusal::SessionOpen,
            Refusal::SessionOver,
            Refusal::invalid("field", "is wrong"),
            Refusal::AlreadyExists("It exists."),
        ] {
            let Failed(problem) = refusal.clone().into();
            assert_eq!(problem.code().as_str(), refusal.code());
        }
        let Failed(problem) = application::Error::IdempotencyConflict.into();
        assert_eq!(problem.code(), Code::IdempotencyConflict);
        let Failed(problem) = application::Error::Busy.into();
        assert_eq!(problem.code(), Code::Unavailable);
    }
}
