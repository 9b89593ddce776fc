//! Statements outside the append lane: through the pool, and so that a pooler in transaction mode can carry them.

use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};

#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub pool: PgPool,
    /// Statements are not kept, and stand in explicit transactions.
    pub transaction_pooler: bool,
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Database {
    pub async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        if !self.transaction_pooler {
            return statement.fetch_all(&self.pool).await;
        }
        let mut transaction = self.pool.begin().await?;
        let rows = statement.persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    pub async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<PgRow>, sqlx::Error> {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// How many rows it touched.
    pub async fn execute(&self, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let touched = self.execute_in(&mut transaction, statement).await?;
        transaction.commit().await?;
        Ok(touched)
    }

    pub async fn execute_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        statement: Statement<'_>,
    ) -> Result<u64, sqlx::Error> {
        let done = statement.persistent(!self.transaction_pooler).execute(&mut **transaction).await?;
        Ok(done.rows_affected())
    }
}
