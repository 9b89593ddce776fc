//! How often passwords may be tried and accounts made.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Error;
use crate::limit::{AddressKey, Limiter, Rate};

/// Only attempts that failed count against an account or an address: a mobile network's many phones behind one address
/// don't lock each other out, and nobody is slowed down by logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Wrong passwords for one account, wherever they come from.
    pub by_account: Rate,
    /// Wrong passwords and refused refresh tokens from one address, whatever the account.
    pub by_address: Rate,
    /// Registrations from one address.
    pub registrations: Rate,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self {
            by_account: Rate { burst: 10, refill: Duration::from_secs(30) },
            by_address: Rate { burst: 50, refill: Duration::from_secs(2) },
            registrations: Rate { burst: 30, refill: Duration::from_secs(10) },
        }
    }
}

pub(super) struct Attempts {
    by_account: Limiter<[u8; 32]>,
    by_address: Limiter<AddressKey>,
    registrations: Limiter<AddressKey>,
}

impl Attempts {
    pub(super) fn new(limits: AttemptLimits) -> Self {
        Self {
            by_account: Limiter::new(limits.by_account),
            by_address: Limiter::new(limits.by_address),
            registrations: Limiter::new(limits.registrations),
        }
    }

    pub(super) fn register(&self, from: AddressKey, now: DateTime<Utc>) -> Result<(), Error> {
        Ok(self.registrations.take(from, now)?)
    }

    /// An attempt at an account, that is known by the hash of its e-mail address whether it exists or not.
    pub(super) async fn at_account<T>(
        &self,
        account: [u8; 32],
        from: AddressKey,
        now: DateTime<Utc>,
        attempt: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.by_account.take(account, now)?;
        let result = self.at_address(from, now, attempt).await;
        if !counts(&result) {
            self.by_account.give_back(&account);
        }
        result
    }

    /// An attempt with a secret that names no account to count by.
    pub(super) async fn at_address<T>(
        &self,
        from: AddressKey,
        now: DateTime<Utc>,
        attempt: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.by_address.take(from, now)?;
        let result = attempt.await;
        if !counts(&result) {
            self.by_address.give_back(&from);
        }
        result
    }
}

/// Taken before and given back after, so that many attempts at once don't all pass before the first has failed.
fn counts<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::WrongCredentials | Error::RefreshTokenRefused))
}
