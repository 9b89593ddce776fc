use application::auth::Role;
use chrono::{DateTime, Utc};
use domain::id::TenantId;
use schema::api::account::{RegisterAccount, Tokens};
use uuid::Uuid;

use super::rows::{Account, Person};
use super::{Accounts, Email, Error, Name, Password, Phone};
use crate::limit::AddressKey;

/// An account to be made.
#[derive(Clone)]
pub struct NewAccount {
    pub email: Email,
    pub password: Password,
    pub name: Name,
    pub phone: Option<Phone>,
}

impl TryFrom<&RegisterAccount> for NewAccount {
    type Error = Error;

    fn try_from(body: &RegisterAccount) -> Result<Self, Error> {
        let phone = body.phone.as_deref().filter(|phone| !phone.trim().is_empty());
        Ok(Self {
            email: Email::parse(&body.email)?,
            password: Password::choose(body.password.expose())?,
            name: Name::parse(&body.name)?,
            phone: phone.map(Phone::parse).transpose()?,
        })
    }
}

impl Accounts {
    /// A driver makes an account, and is logged in.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], unless it is taken by a registration of this same person that was cut off before its answer:
    /// that one is carried on.
    pub async fn register(&self, new: NewAccount, from: AddressKey, now: DateTime<Utc>) -> Result<Tokens, Error> {
        self.0.attempts.register(from, now)?;
        let email_hash = self.email_hash(&new.email);
        let account = match self.0.rows.by_email(email_hash).await? {
            None => self.insert(Role::Driver, &new, now).await?.ok_or(Error::EmailTaken)?,
            Some(present) if present.role != Role::Driver || present.in_log => return Err(Error::EmailTaken),
            // Only the same person knows the password, so trying it here counts as it does at a login.
            Some(unfinished) => {
                let attempt = self.confirmed(unfinished, new.password);
                let confirmed = self.0.attempts.at_account(email_hash, from, now, attempt).await;
                confirmed.map_err(|error| match error {
                    Error::WrongCredentials => Error::EmailTaken,
                    error => error,
                })?
            }
        };
        self.open(&account, None, now).await
    }

    async fn confirmed(&self, account: Account, password: Password) -> Result<Account, Error> {
        let matches = self.0.hasher.verify(password, Some(&account.password_hash)).await?;
        if matches { Ok(account) } else { Err(Error::WrongCredentials) }
    }

    /// None when the e-mail address was taken in the meantime.
    pub(super) async fn insert(
        &self,
        role: Role,
        new: &NewAccount,
        now: DateTime<Utc>,
    ) -> Result<Option<Account>, Error> {
        let account = Account {
            tenant_id: TenantId::DEFAULT,
            user_id: Uuid::now_v7(),
            role,
            password_hash: self.0.hasher.hash(new.password.clone()).await?,
            in_log: false,
        };
        let person = Person {
            email_hash: self.email_hash(&new.email),
            email: new.email.as_str(),
            name: new.name.as_str(),
            phone: new.phone.as_ref().map(Phone::as_str),
        };
        Ok(self.0.rows.insert(&account, person, now).await?.then_some(account))
    }
}
