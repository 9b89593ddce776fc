//! What has to be done now and then: position ranges ahead of the head, keys that have expired, what ops want to see.

use std::time::Duration;

use sqlx::Row;

use crate::EventStore;
use crate::store::WeakStore;
use crate::{dead_letters, ranges, seal};

const EVERY: Duration = Duration::from_secs(10);
/// Expired keys that one statement removes.
const EXPIRED_KEYS_MAX: i64 = 5_000;

/// Runs until the store is dropped.
pub(crate) async fn run(store: WeakStore) {
    loop {
        // First of all: the store has just seen to the ranges itself.
        tokio::time::sleep(EVERY).await;
        let Some(current) = store.upgrade() else { return };
        if let Err(error) = round(&current).await {
            tracing::warn!(%error, "the log's caretaker could not do its round");
        }
    }
}

async fn round(store: &EventStore) -> Result<(), sqlx::Error> {
    let database = store.database();
    ranges::make_ahead(&mut database.pool.acquire().await?, store.options()).await?;
    let expire = || sqlx::query(include_str!("caretaker/expire.sql")).bind(EXPIRED_KEYS_MAX);
    while database.execute(expire()).await? == EXPIRED_KEYS_MAX as u64 {}
    dead_letters::expire(database).await?;
    while seal::seal(store).await? == seal::BLOCKS_MAX {}
    let health = database.fetch_all(sqlx::query(include_str!("caretaker/health.sql"))).await?;
    if let Some(row) = health.first() {
        metrics::gauge!("coulomb_log_head_position").set(row.try_get::<i64, _>(0)? as f64);
        metrics::gauge!("coulomb_oldest_xmin_age_transactions").set(row.try_get::<i32, _>(1)? as f64);
        metrics::gauge!("coulomb_oldest_transaction_seconds").set(row.try_get::<f64, _>(2)?);
    }
    Ok(())
}
