use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::TenantId;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pool::Pool;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::ed25519;
use super::keys::{self, StoredKey};
use super::{ACCESS_TOKEN_LIFE_S, Claims, ISSUER, KEY_LIFE_S, Role};
use crate::vault::{self, KEY_AGE_MAX, MasterKey};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the signing keys can't be read")]
    Database(#[from] sqlx::Error),
    #[error("the signing key can't be opened")]
    Vault(#[from] vault::Error),
    #[error("the token can't be signed")]
    Signature(#[from] jsonwebtoken::errors::Error),
}

/// A token, and for how many seconds it is good.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub token: String,
    pub expires_in_s: i64,
}

/// Issues access tokens. A cheap handle.
#[derive(Clone)]
pub struct Signer {
    pool: Pool,
    master: MasterKey,
    current: Arc<Mutex<Option<Arc<Current>>>>,
}

struct Current {
    kid: String,
    key: EncodingKey,
    created_at: DateTime<Utc>,
    read_at: Instant,
}

impl Signer {
    pub fn new(pool: impl Into<Pool>, master: MasterKey) -> Self {
        let pool = pool.into();
        ed25519::install();
        Self { pool, master, current: Arc::default() }
    }

    pub async fn issue(
        &self,
        user_id: Uuid,
        role: Role,
        tenant_id: TenantId,
        now: DateTime<Utc>,
    ) -> Result<AccessToken, Error> {
        let current = self.current(now).await?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user_id,
            tenant: tenant_id.0,
            role,
            iat: now.timestamp(),
            exp: now.timestamp() + ACCESS_TOKEN_LIFE_S,
        };
        let header = Header { kid: Some(current.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &current.key)?;
        Ok(AccessToken { token, expires_in_s: ACCESS_TOKEN_LIFE_S })
    }

    async fn current(&self, now: DateTime<Utc>) -> Result<Arc<Current>, Error> {
        let oldest = now - TimeDelta::seconds(KEY_LIFE_S);
        // Held across the query on purpose: of many callers at a rotation, one asks and the others wait for its answer.
        let mut current = self.current.lock().await;
        if let Some(current) =
            current.as_ref().filter(|current| current.created_at > oldest && current.read_at.elapsed() < KEY_AGE_MAX)
        {
            return Ok(current.clone());
        }
        let stored = match keys::since(&self.pool, oldest).await?.into_iter().next() {
            Some(stored) => stored,
            None => make_signing_key(&self.pool, &self.master, now).await?,
        };
        let private = self.master.open(&stored.kid, &stored.sealed_private)?;
        let fresh = Arc::new(Current {
            kid: stored.kid,
            key: EncodingKey::from_ed_der(&private),
            created_at: stored.created_at,
            read_at: Instant::now(),
        });
        *current = Some(fresh.clone());
        Ok(fresh)
    }
}

/// A new signing key. Processes sign with it within a minute; tokens that older keys have signed stay good until they expire.
pub(crate) async fn make_signing_key(pool: &Pool, master: &MasterKey, now: DateTime<Utc>) -> Result<StoredKey, Error> {
    let key = SigningKey::from_bytes(&rand::random());
    let private = key.to_pkcs8_der().expect("an Ed25519 key has a PKCS #8 form");
    let kid = Uuid::now_v7().simple().to_string();
    let stored = StoredKey {
        sealed_private: master.seal(&kid, private.as_bytes()),
        public_key: key.verifying_key().to_bytes().to_vec(),
        kid,
        created_at: now,
    };
    keys::insert(pool, &stored).await?;
    Ok(stored)
}
