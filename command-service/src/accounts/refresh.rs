use chrono::{DateTime, Utc};
use schema::api::account::Tokens;

use super::family::Verdict;
use super::refresh_token::RefreshToken;
use super::{Accounts, Error, rows};
use crate::limit::AddressKey;

impl Accounts {
    /// Exchanges a refresh token for its successor. Of several exchanges of one token at a time, each gets the same.
    ///
    /// # Errors
    /// [`Error::RefreshTokenRefused`]; when the token had been exchanged before, its device's family is revoked with it.
    pub async fn refresh(&self, token: &str, from: AddressKey, now: DateTime<Utc>) -> Result<Tokens, Error> {
        self.0.attempts.at_address(from, now, self.exchange(token, now)).await
    }

    async fn exchange(&self, token: &str, now: DateTime<Utc>) -> Result<Tokens, Error> {
        let presented = RefreshToken::parse(token).ok_or(Error::RefreshTokenRefused)?;
        let mut transaction = self.0.rows.begin().await?;
        let Some((family, account)) = rows::lock_family(&mut transaction, presented.family_id).await? else {
            return Err(Error::RefreshTokenRefused);
        };
        match family.judge(&presented, self.0.application.vault().master(), now) {
            Verdict::Exchange { successor } => {
                rows::rotate_family(&mut transaction, &successor, now).await?;
                // Before the commit: should it fail, the presented token is still the newest.
                let tokens = self.tokens(&account, &successor, now).await?;
                transaction.commit().await?;
                Ok(tokens)
            }
            Verdict::Repeat { successor } => {
                transaction.commit().await?;
                metrics::counter!("coulomb_command_service_refreshes_repeated_total").increment(1);
                self.tokens(&account, &successor, now).await
            }
            Verdict::Reused => {
                rows::revoke_family(&mut transaction, presented.family_id).await?;
                transaction.commit().await?;
                metrics::counter!("coulomb_command_service_families_revoked_total").increment(1);
                tracing::warn!(user_id = %account.user_id, family_id = %presented.family_id, number = presented.number,
                    newest = family.number, "a refresh token was used twice, its device is logged out");
                Err(Error::RefreshTokenRefused)
            }
            Verdict::Stranger | Verdict::Expired => Err(Error::RefreshTokenRefused),
        }
    }
}
