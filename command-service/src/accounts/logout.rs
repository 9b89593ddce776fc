use chrono::{DateTime, Utc};

use super::family::Verdict;
use super::refresh_token::RefreshToken;
use super::{Accounts, Error, rows};
use crate::limit::AddressKey;

impl Accounts {
    /// Revokes the family of a token. With a token that is good for nothing there is nothing to revoke, and that is no
    /// error: the device is logged out (RFC 7009, section 2.2).
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], or when the accounts can't be reached.
    pub async fn logout(&self, token: &str, from: AddressKey, now: DateTime<Utc>) -> Result<(), Error> {
        match self.0.attempts.at_address(from, now, self.revoke(token, now)).await {
            Err(Error::RefreshTokenRefused) => Ok(()),
            result => result,
        }
    }

    async fn revoke(&self, token: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let presented = RefreshToken::parse(token).ok_or(Error::RefreshTokenRefused)?;
        let mut transaction = self.0.rows.begin().await?;
        let Some((family, _)) = rows::lock_family(&mut transaction, presented.family_id).await? else {
            return Err(Error::RefreshTokenRefused);
        };
        match family.judge(&presented, self.0.application.vault().master(), now) {
            Verdict::Stranger => Err(Error::RefreshTokenRefused),
            Verdict::Exchange { .. } | Verdict::Repeat { .. } | Verdict::Reused | Verdict::Expired => {
                rows::revoke_family(&mut transaction, presented.family_id).await?;
                Ok(transaction.commit().await?)
            }
        }
    }
}
