use chrono::{DateTime, Utc};
use pool::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// A signing key as it is stored: its private part sealed by the master key.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub kid: String,
    pub public_key: Vec<u8>,
    pub sealed_private: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

fn stored(row: &PgRow) -> Result<StoredKey, sqlx::Error> {
    Ok(StoredKey {
        kid: row.try_get(0)?,
        public_key: row.try_get(1)?,
        sealed_private: row.try_get(2)?,
        created_at: row.try_get(3)?,
    })
}

/// The keys made since, newest first.
pub(super) async fn since(pool: &Pool, since: DateTime<Utc>) -> Result<Vec<StoredKey>, sqlx::Error> {
    let statement = sqlx::query(
        "SELECT kid, public_key, sealed_private, created_at FROM signing_keys WHERE created_at > $1 ORDER BY created_at DESC",
    );
    let rows = statement.bind(since).fetch_all(pool).await?;
    rows.iter().map(stored).collect()
}

pub(super) async fn insert(pool: &Pool, key: &StoredKey) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO signing_keys (kid, public_key, sealed_private, created_at) VALUES ($1, $2, $3, $4)")
        .bind(&key.kid)
        .bind(&key.public_key)
        .bind(&key.sealed_private)
        .bind(key.created_at)
        .execute(pool)
        .await
        .map(|_| ())
}
