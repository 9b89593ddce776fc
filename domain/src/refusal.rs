//! Why a command is refused. The codes are what clients see, each with a sentence for people.

/// A refusal changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("You have no active plan. Choose a plan before you start charging.")]
    NoActivePlan,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("There is no such charger.")]
    ChargerUnknown,
    #[error("There is no such session.")]
    SessionUnknown,
    #[error("There is no such command.")]
    CommandUnknown,
    #[error("There is no such driver.")]
    DriverUnknown,
    #[error("There is no such token.")]
    TokenUnknown,
    #[error("The charger is offline. Try again when it is back, or choose another one.")]
    ChargerOffline,
    #[error("The connector is in use.")]
    ConnectorOccupied,
    #[error("The connector is out of order.")]
    ConnectorFaulted,
    #[error("A session is open. End it first, and try again once it is over.")]
    SessionOpen,
    #[error("The session is over.")]
    SessionOver,
    /// A value that can't be: the field, as clients name it, and why.
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
    /// What is to be made exists with other content, or has moved on.
    #[error("{0}")]
    AlreadyExists(&'static str),
}

impl Refusal {
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }

    /// The last part of the problem's `type`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoActivePlan => "no-active-plan",
            Self::Forbidden(_) => "forbidden",
            Self::ChargerUnknown => "charger-unknown",
            Self::SessionUnknown => "session-unknown",
            Self::CommandUnknown => "command-unknown",
            Self::DriverUnknown => "driver-unknown",
            Self::TokenUnknown => "token-unknown",
            Self::ChargerOffline => "charger-offline",
            Self::ConnectorOccupied => "connector-occupied",
            Self::ConnectorFaulted => "connector-faulted",
            Self::SessionOpen => "session-open",
            Self::SessionOver => "session-over",
            Self::Invalid { .. } => "invalid-request",
            Self::AlreadyExists(_) => "already-exists",
        }
    }
}
