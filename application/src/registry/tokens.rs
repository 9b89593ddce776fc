use domain::id::{TenantId, TokenId};
use pool::Pool;
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

use crate::vault::Vault;

/// Values whose token is remembered. They change only when a person is erased.
const TOKENS_CACHED_MAX: usize = 50_000;
const PURPOSE: &str = "token";

/// Tokens by what chargers read from them, compared without case. A cheap handle.
#[derive(Clone)]
pub struct Tokens {
    pool: Pool,
    vault: Vault,
    known: Arc<Cache<[u8; 32], TokenId>>,
}

impl Tokens {
    pub(crate) fn new(pool: Pool, vault: Vault) -> Self {
        Self { pool, vault, known: Arc::new(Cache::new(TOKENS_CACHED_MAX)) }
    }

    /// Drops what is remembered: the tokens of somebody who was erased are nobody's any more.
    pub fn forget(&self) {
        self.known.clear();
    }

    /// The stream of this value, made if there is none: also for what nobody registered.
    pub async fn find_or_make(&self, tenant: TenantId, value: &str) -> Result<TokenId, sqlx::Error> {
        let hash = self.vault.index_hash(PURPOSE, format!("{tenant}:{}", value.trim().to_lowercase()).as_str());
        if let Some(id) = self.known.get(&hash) {
            return Ok(id);
        }
        let id: Uuid = sqlx::query_scalar(include_str!("token_find_or_make.sql"))
            .bind(tenant.0)
            .bind(hash.as_slice())
            .bind(TokenId::generate().0)
            .fetch_one(&self.pool)
            .await?;
        self.known.insert(hash, TokenId(id));
        Ok(TokenId(id))
    }
}
