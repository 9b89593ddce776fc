use domain::id::{ChargePointId, ChargePointIdentity, TenantId};
use pool::Pool;
use uuid::Uuid;

/// Which stream an identity names, and the credential that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargerEntry {
    pub charge_point_id: ChargePointId,
    /// argon2id, in PHC form; none: the charger needs no password.
    pub credential: Option<String>,
}

/// A charge point's row as it was, to write it anew unless somebody else has.
pub(crate) struct RowVersion {
    /// The transaction that wrote it.
    xmin: String,
    credential: Option<String>,
}

/// A credential that was written for a charger that nobody had registered yet.
pub(crate) struct Proposal {
    /// The transaction that wrote it.
    xmin: String,
    /// What was there.
    before: Option<String>,
}

/// The identities of charge points. A cheap handle.
#[derive(Clone)]
pub struct Chargers {
    pool: Pool,
}

impl Chargers {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    pub async fn find(
        &self,
        tenant: TenantId,
        identity: &ChargePointIdentity,
    ) -> Result<Option<ChargerEntry>, sqlx::Error> {
        let row: Option<(Uuid, Option<String>)> = sqlx::query_as(
            "SELECT charge_point_id, credential FROM charger_registry WHERE tenant_id = $1 AND identity = $2",
        )
        .bind(tenant.0)
        .bind(identity.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, credential)| ChargerEntry { charge_point_id: ChargePointId(id), credential }))
    }

    /// Whether the charge point is one of the tenant's.
    pub(crate) async fn is_of(&self, tenant: TenantId, id: ChargePointId) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM charger_registry WHERE charge_point_id = $1 AND tenant_id = $2)")
            .bind(id.0)
            .bind(tenant.0)
            .fetch_one(&self.pool)
            .await
    }

    /// The stream of this identity, made if there is none.
    pub(crate) async fn find_or_make(
        &self,
        tenant: TenantId,
        identity: &ChargePointIdentity,
    ) -> Result<ChargePointId, sqlx::Error> {
        sqlx::query_scalar(include_str!("charger_find_or_make.sql"))
            .bind(ChargePointId::generate().0)
            .bind(tenant.0)
            .bind(identity.as_str())
            .fetch_one(&self.pool)
            .await
            .map(ChargePointId)
    }

    /// Which version of the charge point's row is the newest: another one after every write.
    pub(crate) async fn version(&self, id: ChargePointId) -> Result<RowVersion, sqlx::Error> {
        let (xmin, credential) =
            sqlx::query_as("SELECT xmin::text, credential FROM charger_registry WHERE charge_point_id = $1")
                .bind(id.0)
                .fetch_one(&self.pool)
                .await?;
        Ok(RowVersion { xmin, credential })
    }

    /// Writes the credential; none if the row has been written since it had this version.
    pub(crate) async fn propose_credential(
        &self,
        id: ChargePointId,
        at: RowVersion,
        credential: Option<&str>,
    ) -> Result<Option<Proposal>, sqlx::Error> {
        let written: Option<String> = sqlx::query_scalar(
            "UPDATE charger_registry SET credential = $2 WHERE charge_point_id = $1 AND xmin::text = $3 \
             RETURNING xmin::text",
        )
        .bind(id.0)
        .bind(credential)
        .bind(&at.xmin)
        .fetch_optional(&self.pool)
        .await?;
        Ok(written.map(|xmin| Proposal { xmin, before: at.credential }))
    }

    /// Puts back what was there before a proposal, unless the row has been written since.
    pub(crate) async fn withdraw(&self, id: ChargePointId, proposal: &Proposal) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE charger_registry SET credential = $2 WHERE charge_point_id = $1 AND xmin::text = $3")
            .bind(id.0)
            .bind(&proposal.before)
            .bind(&proposal.xmin)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// The credential from now on, whatever was proposed. The row becomes another version even if it says the same.
    pub(crate) async fn settle_credential(
        &self,
        id: ChargePointId,
        credential: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE charger_registry SET credential = $2 WHERE charge_point_id = $1")
            .bind(id.0)
            .bind(credential)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}
