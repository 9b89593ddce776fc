//! Other keys in the place of those that are, and the end of keys whose time has come.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::id::DriverId;
use pool::{Connection, Pool};
use uuid::Uuid;

use super::{CHECK, Error as VaultError, INDEX_KEY, MasterKey, Subject, decrypt, encrypt};
use crate::auth::{SigningError, make_signing_key};

/// Keys that one statement wraps anew.
const KEYS_AT_ONCE: i64 = 5_000;
/// How long it waits for other connections to be closed.
const CLOSING_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the keys can't be read or written; nothing was changed")]
    Database(#[from] sqlx::Error),
    #[error(
        "others use this database ({0}); with the old key they could open nothing afterwards. Stop them (coulomb \
         processes, psql, poolers), then try again. Nothing was changed"
    )]
    InUse(String),
    #[error("the old master key is not the one that this database has been used with. Nothing was changed")]
    NotTheOld,
    #[error("the new master key is the old one: make another, such as `openssl rand -base64 32`")]
    Same,
}

/// What has been wrapped anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    pub vault_keys: u64,
    pub signing_keys: u64,
    /// The database was under the new key before: a rotation was cut off after its commit.
    pub before: bool,
}

/// Wraps every key by another master key, in one transaction: cut off at any moment, either all or nothing has changed.
///
/// Nobody else may use the database. Whoever connects meanwhile waits, and is refused with the old key. `progress` is told
/// how many of how many are done.
///
/// # Errors
/// [`Error`]; nothing is changed then.
pub async fn rotate_master(
    connection: &mut Connection<'_>,
    old: &MasterKey,
    new: &MasterKey,
    mut progress: impl FnMut(u64, u64),
) -> Result<Rotated, Error> {
    if old.root == new.root {
        return Err(Error::Same);
    }
    // First outside of the transaction, which would see for its whole length who was there at its beginning.
    let present = others(connection).await?;
    if !present.is_empty() {
        return Err(Error::InUse(present.join("; ")));
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("LOCK TABLE vault_keys, signing_keys, master_key_check IN ACCESS EXCLUSIVE MODE NOWAIT")
        .execute(&mut *transaction)
        .await
        .map_err(
            |error| if is_locked(&error) { Error::InUse("its keys are locked".to_owned()) } else { error.into() },
        )?;
    let others = others(&mut transaction).await?;
    if !others.is_empty() {
        return Err(Error::InUse(others.join("; ")));
    }
    let check: Option<(Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT sealed, index_key FROM master_key_check").fetch_optional(&mut *transaction).await?;
    let (sealed, index_key) = check.ok_or(Error::NotTheOld)?;
    if new.open(CHECK, &sealed).is_ok() {
        return Ok(Rotated { vault_keys: 0, signing_keys: 0, before: true });
    }
    old.open(CHECK, &sealed).map_err(|_| Error::NotTheOld)?;
    let index_root = match index_key {
        Some(index_key) => old.open(INDEX_KEY, &index_key)?,
        None => old.root.to_vec(),
    };
    sqlx::query("UPDATE master_key_check SET sealed = $1, index_key = $2")
        .bind(new.seal(CHECK, CHECK.as_bytes()))
        .bind(new.seal(INDEX_KEY, &index_root))
        .execute(&mut *transaction)
        .await?;
    let signing_keys = wrap_signing_keys(&mut transaction, old, new).await?;
    let vault_keys = wrap_vault_keys(&mut transaction, old, new, &mut progress).await?;
    transaction.commit().await?;
    Ok(Rotated { vault_keys, signing_keys, before: false })
}

/// Those that were closed just now may still be on their way out.
async fn others(connection: &mut Connection<'_>) -> Result<Vec<String>, sqlx::Error> {
    let since = Instant::now();
    loop {
        sqlx::query("SELECT pg_stat_clear_snapshot()").execute(&mut *connection).await?;
        let others: Vec<String> = sqlx::query_scalar(include_str!("others.sql")).fetch_all(&mut *connection).await?;
        if others.is_empty() || since.elapsed() > CLOSING_MAX {
            return Ok(others);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wrap_signing_keys(connection: &mut Connection<'_>, old: &MasterKey, new: &MasterKey) -> Result<u64, Error> {
    let keys: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT kid, sealed_private FROM signing_keys").fetch_all(&mut *connection).await?;
    for (kid, sealed) in &keys {
        sqlx::query("UPDATE signing_keys SET sealed_private = $2 WHERE kid = $1")
            .bind(kid)
            .bind(new.seal(kid, &old.open(kid, sealed)?))
            .execute(&mut *connection)
            .await?;
    }
    Ok(keys.len() as u64)
}

async fn wrap_vault_keys(
    connection: &mut Connection<'_>,
    old: &MasterKey,
    new: &MasterKey,
    progress: &mut impl FnMut(u64, u64),
) -> Result<u64, Error> {
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM vault_keys").fetch_one(&mut *connection).await?;
    let (mut done, mut after) = (0, Uuid::nil());
    loop {
        let page: Vec<(Uuid, Vec<u8>)> =
            sqlx::query_as("SELECT key_id, wrapped FROM vault_keys WHERE key_id > $1 ORDER BY key_id LIMIT $2")
                .bind(after)
                .bind(KEYS_AT_ONCE)
                .fetch_all(&mut *connection)
                .await?;
        let Some((last, _)) = page.last() else { return Ok(done) };
        after = *last;
        let (mut ids, mut wrapped) = (Vec::with_capacity(page.len()), Vec::with_capacity(page.len()));
        for (key_id, key) in &page {
            let key = decrypt(old.wrapping_key(), key_id.as_bytes(), key)?;
            wrapped.push(encrypt(new.wrapping_key(), key_id.as_bytes(), &key));
            ids.push(*key_id);
        }
        sqlx::query(include_str!("wrap_again.sql")).bind(ids).bind(wrapped).execute(&mut *connection).await?;
        done += page.len() as u64;
        progress(done, all.unsigned_abs());
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// A new key that signs access tokens: every process signs with it within a minute. Tokens signed by older keys are good
/// until they expire, at most a quarter of an hour later.
///
/// # Errors
/// When the database can't be reached.
pub async fn rotate_signing(pool: impl Into<Pool>, master: &MasterKey, now: DateTime<Utc>) -> Result<(), SigningError> {
    let pool = &pool.into();
    make_signing_key(pool, master, now).await.map(|_| ())
}

/// What is sealed for a driver from now on (in every process, within a minute) is under a new key; the old one stays to read
/// what was. Whether there was one.
///
/// # Errors
/// When the database can't be reached.
pub async fn rotate_person(pool: impl Into<Pool>, driver_id: DriverId) -> Result<bool, sqlx::Error> {
    let pool = &pool.into();
    let retired = sqlx::query("UPDATE vault_keys SET retired_at = now() WHERE subject = $1 AND retired_at IS NULL")
        .bind(Subject::Driver(driver_id).to_string())
        .execute(pool)
        .await?;
    Ok(retired.rows_affected() > 0)
}

/// Destroys the keys whose retention has ended. Answers how many there were.
///
/// # Errors
/// When the database can't be reached.
pub async fn expire(pool: impl Into<Pool>) -> Result<u64, sqlx::Error> {
    let pool = &pool.into();
    let destroyed = sqlx::query("DELETE FROM vault_keys WHERE destroy_after <= now()").execute(pool).await?;
    Ok(destroyed.rows_affected())
}
