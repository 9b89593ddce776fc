//! Statements outside the append lane.

use pool::{Pool, Transaction};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub pool: Pool,
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Database {
    pub async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        statement.fetch_all(&self.pool).await
    }

    pub async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<PgRow>, sqlx::Error> {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// How many rows it touched.
    pub async fn execute(&self, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
        Ok(statement.execute(&self.pool).await?.rows_affected())
    }

    pub async fn execute_in(
        &self,
        transaction: &mut Transaction<'_>,
        statement: Statement<'_>,
    ) -> Result<u64, sqlx::Error> {
        Ok(statement.execute(&mut **transaction).await?.rows_affected())
    }
}
