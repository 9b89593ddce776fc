//! The only SQL about accounts.

use application::auth::Role;
use chrono::{DateTime, Utc};
use domain::id::TenantId;
use pool::{Connection, Pool, Transaction};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::family::{Family, IDLE_MAX};
use super::refresh_token::RefreshToken;
use super::session::DeviceId;

/// Devices on which one account is logged in; the one that was not seen for the longest gives way.
const DEVICES_MAX: i64 = 20;

#[derive(Clone)]
pub(super) struct Account {
    pub tenant_id: TenantId,
    pub user_id: Uuid,
    pub role: Role,
    pub password_hash: String,
    /// Whether the log is known to hold the driver.
    pub in_log: bool,
}

/// What a new row says of its person.
pub(super) struct Person<'a> {
    pub email_hash: [u8; 32],
    pub email: &'a str,
    pub name: &'a str,
    pub phone: Option<&'a str>,
}

#[derive(Clone)]
pub(super) struct Rows {
    pool: Pool,
}

impl Rows {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static>, sqlx::Error> {
        self.pool.begin().await
    }

    pub(super) async fn by_email(&self, email_hash: [u8; 32]) -> Result<Option<Account>, sqlx::Error> {
        sqlx::query(include_str!("sql/by_email.sql"))
            .bind(TenantId::DEFAULT.0)
            .bind(email_hash.as_slice())
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(account)
            .transpose()
    }

    /// Whether the account was inserted; not so when its e-mail address is taken.
    pub(super) async fn insert(
        &self,
        account: &Account,
        person: Person<'_>,
        now: DateTime<Utc>,
    ) -> Result<bool, sqlx::Error> {
        let inserted = sqlx::query(include_str!("sql/insert.sql"))
            .bind(account.user_id)
            .bind(account.tenant_id.0)
            .bind(account.role.as_str())
            .bind(person.email_hash.as_slice())
            .bind(person.email)
            .bind(person.name)
            .bind(person.phone)
            .bind(&account.password_hash)
            .bind(now)
            .bind(account.in_log)
            .execute(&self.pool)
            .await;
        match inserted {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("accounts_email") => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn set_in_log(&self, user_id: Uuid) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE accounts SET in_log = true WHERE user_id = $1")
            .bind(user_id)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// Changes the password, and logs the account out everywhere: whoever knew the old one may hold tokens.
    pub(super) async fn set_password(&self, user_id: Uuid, password_hash: &str) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE accounts SET password_hash = $2 WHERE user_id = $1")
            .bind(user_id)
            .bind(password_hash)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM refresh_families WHERE user_id = $1").bind(user_id).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Opens a family, in place of what was open on the same device, and lets go of what is old.
    pub(super) async fn open_family(
        &self,
        user_id: Uuid,
        device: Option<&DeviceId>,
        first: &RefreshToken,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/open_family.sql"))
            .bind(first.family_id)
            .bind(user_id)
            .bind(device.map(DeviceId::as_str))
            .bind(i64::from(first.number))
            .bind(first.digest().as_slice())
            .bind(now)
            .bind(now + IDLE_MAX)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(include_str!("sql/prune_families.sql"))
            .bind(user_id)
            .bind(now)
            .bind(DEVICES_MAX)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

/// The family and whose it is, locked until the transaction ends.
pub(super) async fn lock_family(
    connection: &mut Connection<'_>,
    family_id: Uuid,
) -> Result<Option<(Family, Account)>, sqlx::Error> {
    let row = sqlx::query(include_str!("sql/lock_family.sql")).bind(family_id).fetch_optional(connection).await?;
    row.as_ref().map(|row| Ok((family(row)?, account(row)?))).transpose()
}

pub(super) async fn rotate_family(
    connection: &mut Connection<'_>,
    newest: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/rotate_family.sql"))
        .bind(newest.family_id)
        .bind(i64::from(newest.number))
        .bind(newest.digest().as_slice())
        .bind(now)
        .bind(now + IDLE_MAX)
        .execute(connection)
        .await
        .map(|_| ())
}

/// A family that is gone is revoked: none of its tokens is good for anything.
pub(super) async fn revoke_family(connection: &mut Connection<'_>, family_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM refresh_families WHERE family_id = $1")
        .bind(family_id)
        .execute(connection)
        .await
        .map(|_| ())
}

fn account(row: &PgRow) -> Result<Account, sqlx::Error> {
    let role: &str = row.try_get("role")?;
    Ok(Account {
        tenant_id: TenantId(row.try_get("tenant_id")?),
        user_id: row.try_get("user_id")?,
        role: Role::parse(role).ok_or_else(|| unreadable("role"))?,
        password_hash: row.try_get("password_hash")?,
        in_log: row.try_get("in_log")?,
    })
}

fn family(row: &PgRow) -> Result<Family, sqlx::Error> {
    let digest: &[u8] = row.try_get("digest")?;
    Ok(Family {
        number: u32::try_from(row.try_get::<i64, _>("number")?).map_err(|_| unreadable("number"))?,
        digest: digest.try_into().map_err(|_| unreadable("digest"))?,
        rotated_at: row.try_get("rotated_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// Written by a later version, or by hand.
fn unreadable(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "not one of the values that are written".into() }
}
