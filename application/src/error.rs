//! What can come of a command instead of its acceptance, and how it is told.

use domain::refusal::Refusal;

use crate::problem::Problem;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same command was refused before, under the same key.
    #[error("{}", .0.detail)]
    RefusedBefore(Problem),
    #[error("The idempotency key was used before, for another request. Use a new key for a new request.")]
    IdempotencyConflict,
    /// A newer connection of this charger owns its facts.
    #[error("A newer connection of this charger has taken over.")]
    Fenced,
    /// The same thing was being changed from so many sides that no decision stood.
    #[error("Too many changes at once. Try again.")]
    Busy,
    /// What is to be decided is read from the read models, and they are behind the log.
    #[error("The read models are behind the log. Try again.")]
    Behind,
    #[error("The service can't reach its database. Try again.")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is recorded can't be read by this version, or not under this key: to try again is of no use until somebody has
    /// mended that. The source names the stream and the position.
    #[error(
        "The service can't read what it has recorded. Its operators have to mend this; trying again does not help."
    )]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unreadable(error.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::unavailable(error)
    }
}

impl From<crate::vault::Error> for Error {
    fn from(error: crate::vault::Error) -> Self {
        use crate::vault::Error as Vault;
        match error {
            Vault::Database(_) => Self::unavailable(error),
            Vault::WrongKey => Self::unreadable(error),
        }
    }
}

impl From<event_store::load::Error> for Error {
    fn from(error: event_store::load::Error) -> Self {
        use event_store::load::Error as Load;
        match error {
            Load::Unavailable(_) => Self::unavailable(error),
            Load::Earlier { ref source, .. } if source.passes() => Self::unavailable(error),
            Load::Undecodable { .. } | Load::Earlier { .. } => Self::unreadable(error),
        }
    }
}

impl From<event_store::read::Error> for Error {
    fn from(error: event_store::read::Error) -> Self {
        if error.passes() { Self::unavailable(error) } else { Self::unreadable(error) }
    }
}

impl From<event_store::append::Error> for Error {
    fn from(error: event_store::append::Error) -> Self {
        use event_store::append::Error as Append;
        match error {
            Append::KeyReused => Self::IdempotencyConflict,
            Append::Fenced { .. } => Self::Fenced,
            Append::Conflict { .. } | Append::OtherGeneration => Self::Busy,
            Append::TooLarge { .. } => Self::Refused(Refusal::invalid("body", error.to_string())),
            Append::Invalid(_) | Append::Unavailable(_) | Append::UnknownOutcome(_) | Append::Closed => {
                Self::unavailable(error)
            }
        }
    }
}
