//! Accounts that the configuration or a demo asks for.

use application::auth::Role;
use chrono::{DateTime, Utc};
use domain::id::DriverId;
use uuid::Uuid;

use super::rows::Account;
use super::{Accounts, Error, NewAccount};

impl Accounts {
    /// The operator's account, made unless it is there. Its password is the given one from now on: whoever sets the
    /// configuration has to be able to log in.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] when the address is a driver's: nobody becomes an operator by having registered first.
    pub async fn ensure_operator(&self, new: &NewAccount, now: DateTime<Utc>) -> Result<Uuid, Error> {
        self.ensure(Role::Operator, new, now).await.map(|account| account.user_id)
    }

    /// The driver's account, made unless it is there, and the driver in the log.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] when the address is an operator's.
    pub async fn ensure_driver(&self, new: &NewAccount, now: DateTime<Utc>) -> Result<DriverId, Error> {
        let account = self.ensure(Role::Driver, new, now).await?;
        self.ensure_in_log(&account).await?;
        Ok(DriverId(account.user_id))
    }

    async fn ensure(&self, role: Role, new: &NewAccount, now: DateTime<Utc>) -> Result<Account, Error> {
        let email_hash = self.email_hash(&new.email);
        let present = match self.0.rows.by_email(email_hash).await? {
            Some(present) => Some(present),
            None => match self.insert(role, new, now).await? {
                Some(made) => return Ok(made),
                // Another process of the same configuration was faster.
                None => self.0.rows.by_email(email_hash).await?,
            },
        };
        let present = present.filter(|account| account.role == role).ok_or(Error::EmailTaken)?;
        if !self.0.hasher.verify(new.password.clone(), Some(&present.password_hash)).await? {
            let hash = self.0.hasher.hash(new.password.clone()).await?;
            self.0.rows.set_password(present.user_id, &hash).await?;
        }
        Ok(present)
    }
}
