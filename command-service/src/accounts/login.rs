use chrono::{DateTime, Utc};
use schema::api::account::{Login, Tokens};

use super::{Accounts, DeviceId, Email, Error, Password};
use crate::limit::AddressKey;

/// Who wants to log in, and where.
#[derive(Clone)]
pub struct LoginRequest {
    pub email: Email,
    pub password: Password,
    pub device: Option<DeviceId>,
}

impl TryFrom<&Login> for LoginRequest {
    type Error = Error;

    fn try_from(body: &Login) -> Result<Self, Error> {
        Ok(Self {
            email: Email::parse(&body.email)?,
            password: Password::present(body.password.expose())?,
            device: body.device_id.as_deref().map(DeviceId::parse).transpose()?,
        })
    }
}

impl Accounts {
    /// # Errors
    /// [`Error::WrongCredentials`], after the same time whether the account exists or not; [`Error::TooManyAttempts`].
    pub async fn login(&self, request: LoginRequest, from: AddressKey, now: DateTime<Utc>) -> Result<Tokens, Error> {
        let email_hash = self.email_hash(&request.email);
        let attempt = async {
            let account = self.0.rows.by_email(email_hash).await?;
            let hash = account.as_ref().map(|account| account.password_hash.as_str());
            let matches = self.0.hasher.verify(request.password, hash).await?;
            account.filter(|_| matches).ok_or(Error::WrongCredentials)
        };
        let account = self.0.attempts.at_account(email_hash, from, now, attempt).await?;
        self.open(&account, request.device.as_ref(), now).await
    }
}
