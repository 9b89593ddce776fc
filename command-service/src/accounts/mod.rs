//! Accounts: who may log in, as what, on which devices.
//!
//! Not history: rows that change, and the only ones with clear personal data. What the log holds of a driver is an id.

mod attempts;
mod email;
mod ensure;
mod error;
mod family;
mod hashing;
mod login;
mod logout;
mod password;
mod person;
mod refresh;
mod refresh_token;
mod register;
mod rows;
mod session;

use std::sync::Arc;

use application::Application;
use pool::Pool;

pub use attempts::AttemptLimits;
pub use email::Email;
pub use error::Error;
pub use hashing::{Error as HashingError, HashCost, HashQueue, PasswordHasher};
pub use login::LoginRequest;
pub use password::Password;
pub use person::{Name, Phone};
pub use register::NewAccount;
pub use session::DeviceId;

use attempts::Attempts;
use rows::Rows;

/// What accounts cost, and how often they may be tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub hash_cost: HashCost,
    pub hash_queue: HashQueue,
    pub attempts: AttemptLimits,
}

/// Registers, logs in and out, refreshes. A cheap handle.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    application: Application,
    rows: Rows,
    hasher: PasswordHasher,
    attempts: Attempts,
}

impl Accounts {
    /// # Errors
    /// When the cost of hashing is outside of what argon2 allows.
    pub fn new(application: Application, pool: Pool, settings: Settings) -> Result<Self, hashing::Error> {
        Ok(Self(Arc::new(Inner {
            application,
            rows: Rows::new(pool),
            hasher: PasswordHasher::new(settings.hash_cost, settings.hash_queue)?,
            attempts: Attempts::new(settings.attempts),
        })))
    }

    /// What an account is found by.
    fn email_hash(&self, email: &Email) -> [u8; 32] {
        self.0.application.vault().index_hash("e-mail", email.as_str())
    }

    /// For the credentials of chargers, which wait in the same queue.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.0.hasher
    }
}
