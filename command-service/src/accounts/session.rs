//! What every way in ends with: a driver who is in the log, and tokens for one device.

use application::auth::Role;
use application::command;
use chrono::{DateTime, Utc};
use domain::id::DriverId;
use schema::api::account::{Secret, TokenType, Tokens};

use super::refresh_token::RefreshToken;
use super::rows::Account;
use super::{Accounts, Error};

const DEVICE_ID_CHARS_MAX: usize = 128;

/// How a client names the device that it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceId(String);

impl DeviceId {
    /// # Errors
    /// [`Error::Invalid`] unless it has 1 to 128 printable characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let length = text.chars().count();
        if length == 0 || length > DEVICE_ID_CHARS_MAX || text.chars().any(char::is_control) {
            return Err(Error::Invalid { field: "device_id", why: "has 1 to 128 printable characters" });
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Accounts {
    /// Opens a family of refresh tokens for a device.
    pub(super) async fn open(
        &self,
        account: &Account,
        device: Option<&DeviceId>,
        now: DateTime<Utc>,
    ) -> Result<Tokens, Error> {
        self.ensure_in_log(account).await?;
        let first = RefreshToken::first();
        self.0.rows.open_family(account.user_id, device, &first, now).await?;
        self.tokens(account, &first, now).await
    }

    pub(super) async fn tokens(
        &self,
        account: &Account,
        refresh_token: &RefreshToken,
        now: DateTime<Utc>,
    ) -> Result<Tokens, Error> {
        let signer = self.0.application.signer();
        let access = signer.issue(account.user_id, account.role, account.tenant_id, now).await?;
        Ok(Tokens {
            access_token: Secret::new(access.token),
            refresh_token: Secret::new(refresh_token.to_text()),
            expires_in: access.expires_in_s,
            token_type: TokenType::Bearer,
        })
    }

    /// The account's row and the driver's first event can't be written in one transaction that is also the log's. The row
    /// comes first; the event may be appended again and again, and only the first time changes anything.
    pub(super) async fn ensure_in_log(&self, account: &Account) -> Result<(), Error> {
        if account.in_log || account.role != Role::Driver {
            return Ok(());
        }
        let driver_id = DriverId(account.user_id);
        command::register_driver(&self.0.application, account.tenant_id, driver_id, None).await?;
        Ok(self.0.rows.set_in_log(account.user_id).await?)
    }
}
