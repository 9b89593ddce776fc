use std::fmt;

use domain::id::{ChargePointId, DriverId, TokenId};

/// Whose key a value is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Driver(DriverId),
    /// A token that nobody owns.
    Token(TokenId),
    /// Free text that a charger sent: whose it is can't be known.
    ChargePoint(ChargePointId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(id) => write!(f, "driver:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::ChargePoint(id) => write!(f, "charge_point:{id}"),
        }
    }
}
