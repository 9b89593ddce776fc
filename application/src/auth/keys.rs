use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// A signing key as it is stored: its private part sealed by the master key.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub kid: String,
    pub public_key: Vec<u8>,
    pub sealed_private: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// The keys made since, newest first.
pub(super) async fn since(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<StoredKey>, sqlx::Error> {
    let rows: Vec<(String, Vec<u8>, Vec<u8>, DateTime<Utc>)> = sqlx::query_as(
        "SELECT kid, public_key, sealed_private, created_at FROM signing_keys WHERE created_at > $1 ORDER BY created_at DESC",
    )
    .bind(since)
    .fetch_all(pool)
    .await?;
    let key = |(kid, public_key, sealed_private, created_at)| StoredKey { kid, public_key, sealed_private, created_at };
    Ok(rows.into_iter().map(key).collect())
}

pub(super) async fn insert(pool: &PgPool, key: &StoredKey) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO signing_keys (kid, public_key, sealed_private, created_at) VALUES ($1, $2, $3, $4)")
        .bind(&key.kid)
        .bind(&key.public_key)
        .bind(&key.sealed_private)
        .bind(key.created_at)
        .execute(pool)
        .await
        .map(|_| ())
}
