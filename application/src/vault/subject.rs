use std::fmt;

use domain::id::{ChargePointId, DriverId, TokenId};

/// Whose key a value is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Driver(DriverId),
    /// A token that nobody owns.
    Token(TokenId),
    /// What an invoice needs of a person: kept for as long as the law asks, whether or not the person is erased.
    Billing(DriverId),
    /// Free text that a charger sent: whose it is can't be known.
    ChargePoint(ChargePointId),
}

/// Ten years after the end of the year (§ 147 AO), so eleven at most.
const BILLING_DAYS: i32 = 11 * 366;

impl Subject {
    /// For how many days its key is kept; none: until somebody destroys it.
    pub(super) const fn kept_days(self) -> Option<i32> {
        match self {
            Self::Driver(_) | Self::Token(_) | Self::ChargePoint(_) => None,
            Self::Billing(_) => Some(BILLING_DAYS),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(id) => write!(f, "driver:{id}"),
            Self::Billing(id) => write!(f, "billing:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::ChargePoint(id) => write!(f, "charge_point:{id}"),
        }
    }
}
