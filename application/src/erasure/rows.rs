//! The rows that erasing a person deletes, and those by which it is known to be under way.

use domain::id::{DriverId, TenantId, TokenId};
use pool::Pool;
use uuid::Uuid;

use crate::vault::Subject;

#[derive(Clone)]
pub struct Erasures {
    pool: Pool,
}

impl Erasures {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    pub(super) async fn begin(&self, tenant_id: TenantId, driver_id: DriverId) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO erasures (driver_id, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(driver_id.0)
            .bind(tenant_id.0)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// It was refused, and nothing has been destroyed.
    pub(super) async fn abandon(&self, driver_id: DriverId) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM erasures WHERE driver_id = $1 AND destroyed_at IS NULL")
            .bind(driver_id.0)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// The account with what is open on its devices, and the person's keys: all of them or, after a crash, none.
    pub(super) async fn destroy(&self, driver_id: DriverId) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM vault_keys WHERE subject = $1")
            .bind(Subject::Driver(driver_id).to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM accounts WHERE user_id = $1 AND role = 'driver'")
            .bind(driver_id.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE erasures SET destroyed_at = coalesce(destroyed_at, now()) WHERE driver_id = $1")
            .bind(driver_id.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Their tokens are nobody's: one who presents such a card is a stranger. A key that was made for a registration that
    /// lost against the erasure goes too.
    pub(super) async fn complete(&self, driver_id: DriverId, tokens: &[TokenId]) -> Result<(), sqlx::Error> {
        let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
        let subjects = tokens.iter().map(|token| Subject::Token(*token)).chain([Subject::Driver(driver_id)]);
        let subjects: Vec<String> = subjects.map(|subject| subject.to_string()).collect();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM token_index WHERE token_id = ANY ($1)").bind(ids).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM vault_keys WHERE subject = ANY ($1)")
            .bind(subjects)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE erasures SET done_at = coalesce(done_at, now()) WHERE driver_id = $1")
            .bind(driver_id.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Those that should have been done long ago.
    pub(super) async fn cut_off(&self) -> Result<Vec<(TenantId, DriverId)>, sqlx::Error> {
        let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(include_str!("cut_off.sql")).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(tenant_id, driver_id)| (TenantId(tenant_id), DriverId(driver_id))).collect())
    }

    /// Whose access tokens may still be good, and whose keys may still be in memory.
    pub(super) async fn recent(&self, seconds: i64) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar("SELECT driver_id FROM erasures WHERE destroyed_at > now() - make_interval(secs => $1)")
            .bind(seconds as f64)
            .fetch_all(&self.pool)
            .await
    }
}
