use domain::id::{ChargePointId, SessionId, TransactionId};
use pool::Pool;
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

/// Transactions that are remembered. Whose one is never changes, so nothing has to be forgotten.
const TRANSACTIONS_CACHED_MAX: usize = 100_000;

/// Which session a charger's transaction is. A cheap handle.
#[derive(Clone)]
pub struct Transactions {
    pool: Pool,
    known: Arc<Cache<(ChargePointId, TransactionId), SessionId>>,
}

impl Transactions {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, known: Arc::new(Cache::new(TRANSACTIONS_CACHED_MAX)) }
    }

    /// A number that no transaction had before, for this session (OCPP 1.6: a positive integer of 31 bits).
    pub(crate) async fn next(&self, charger: ChargePointId, session: SessionId) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar(include_str!("transaction_next.sql"))
            .bind(charger.0)
            .bind(session.0)
            .fetch_one(&self.pool)
            .await
    }

    pub(crate) async fn find(
        &self,
        charger: ChargePointId,
        transaction: &TransactionId,
    ) -> Result<Option<SessionId>, sqlx::Error> {
        let key = (charger, transaction.clone());
        if let Some(session) = self.known.get(&key) {
            return Ok(Some(session));
        }
        let found: Option<Uuid> = sqlx::query_scalar(
            "SELECT session_id FROM transactions WHERE charge_point_id = $1 AND transaction_id = $2",
        )
        .bind(charger.0)
        .bind(&transaction.0)
        .fetch_optional(&self.pool)
        .await?;
        if let Some(session) = found {
            self.known.insert(key, SessionId(session));
        }
        Ok(found.map(SessionId))
    }
}
