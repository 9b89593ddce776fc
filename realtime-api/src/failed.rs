//! Refusals and errors as problems, the same over HTTP and the socket. What the log says of an error is said here, once.

use std::borrow::Cow;
use std::time::Duration;

use application::auth::Unauthenticated;
use application::problem::Problem as Told;
use application::vault;
use axum::response::{IntoResponse, Response};
use domain::refusal::Refusal;
use schema::view;
use service_host::{Code, Problem};

use crate::state::invalid;

/// When read models that are far behind the log may have caught up.
pub const BEHIND_RETRY_AFTER: Duration = Duration::from_secs(5);

/// What was not answered or done.
#[derive(Debug, Clone)]
pub struct Failed(pub Problem);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        self.0.into_response()
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
            tracing::error!(error = cause.as_ref() as &dyn std::error::Error, "a command could not be carried out");
        }
        Self(problem_of(Told::from(&error)))
    }
}

impl From<Unauthenticated> for Failed {
    fn from(error: Unauthenticated) -> Self {
        if let Unauthenticated::Unavailable(cause) = &error {
            tracing::error!(error = cause as &dyn std::error::Error, "an access token could not be checked");
        }
        Self(problem_of(Told::from(&error)))
    }
}

impl From<view::Error> for Failed {
    fn from(error: view::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a query could not be answered");
        Self(Problem::unavailable("The read models can't be reached right now. Try again."))
    }
}

impl From<history::Error> for Failed {
    fn from(error: history::Error) -> Self {
        use history::Error;
        Self(match &error {
            Error::AboveHead { head } => {
                invalid("as_of", &format!("the log ends at {head}")).with("head_position", head.0)
            }
            Error::NotYet { .. } => invalid("as_of", "this time has not come yet"),
            Error::NotKept { earliest } => {
                let detail = format!("What was then is not kept any more. Ask for {earliest} or later.");
                Problem::new(Code::HistoryNotKept, detail).with("earliest_position", earliest.0)
            }
            Error::Behind { reached } => {
                let detail = format!("The views are at {reached} only. Try again, or ask for an earlier position.");
                Problem::new(Code::PositionNotReached, detail).retry_after(BEHIND_RETRY_AFTER)
            }
            Error::Busy { retry_after } => {
                Problem::new(Code::Unavailable, "Many look back right now. Try again.").retry_after(*retry_after)
            }
            Error::Views(_) | Error::Log(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what was could not be answered");
                Problem::unavailable("The log and the read models can't be reached right now. Try again.")
            }
        })
    }
}

impl From<vault::Error> for Failed {
    fn from(error: vault::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a sealed value could not be opened");
        Self(Problem::unavailable("Personal values can't be opened right now. Try again."))
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "an account could not be read");
        Self(Problem::unavailable("Accounts can't be reached right now. Try again."))
    }
}

/// The problem in HTTP's types.
fn problem_of(told: Told) -> Problem {
    let Told { status, code, title: _, detail, field, retry_after_s } = told;
    Problem::decided(&code, status, detail, field.map(Cow::into_owned), retry_after_s)
}
