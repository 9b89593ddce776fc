use application::auth;

use super::hashing;
use crate::limit::Exhausted;

/// Why an account could not be made or used. Those with a sentence for people end in a full stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that can't be: the field, as clients name it, and why.
    #[error("{field}: {why}.")]
    Invalid { field: &'static str, why: &'static str },
    #[error("There is an account with this e-mail address already. Log in, or use another address.")]
    EmailTaken,
    /// Does not say which of the two, nor whether there is such an account.
    #[error("The e-mail address or the password is wrong.")]
    WrongCredentials,
    #[error("The refresh token is not good any more. Log in again.")]
    RefreshTokenRefused,
    #[error("Too many attempts. Try again later.")]
    TooManyAttempts(#[from] Exhausted),
    #[error("passwords can't be checked")]
    Hashing(#[from] hashing::Error),
    #[error("the accounts can't be reached")]
    Database(#[from] sqlx::Error),
    #[error("the access token can't be issued")]
    Signing(#[from] auth::SigningError),
    #[error("the driver can't be registered in the log")]
    Log(#[from] application::Error),
}
