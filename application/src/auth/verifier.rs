use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::TenantId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use pool::Pool;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::ed25519;
use super::keys;
use super::{ACCESS_TOKEN_LIFE_S, Caller, Claims, ISSUER, KEY_LIFE_S};

/// After a token with an unknown key, the keys are read again, at most this often: tokens are strangers' input.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Unauthenticated {
    #[error("The access token is missing, malformed or not ours. Log in again.")]
    Invalid,
    #[error("The access token has expired. Refresh it.")]
    Expired,
    /// Not the caller's fault.
    #[error("Tokens can't be checked right now.")]
    Unavailable(#[source] sqlx::Error),
}

/// Checks access tokens with the public keys alone. A cheap handle.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    keys: RwLock<HashMap<String, Arc<DecodingKey>>>,
    last_refresh: Mutex<Option<Instant>>,
    /// Who was erased while an access token of theirs may still be good.
    erased: RwLock<HashSet<Uuid>>,
    /// How often somebody was added to them.
    erasures: watch::Sender<u64>,
}

impl Verifier {
    pub fn new(pool: impl Into<Pool>) -> Self {
        let pool = pool.into();
        ed25519::install();
        let inner = Inner {
            pool,
            keys: RwLock::default(),
            last_refresh: Mutex::default(),
            erased: RwLock::default(),
            erasures: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who presents this token, if it is good at `now`.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Caller, Unauthenticated> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unauthenticated::Invalid)?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::EdDSA).ok_or(Unauthenticated::Invalid)?;
        let key = match self.known(&kid) {
            Some(key) => key,
            None => {
                self.refresh(now).await?;
                self.known(&kid).ok_or(Unauthenticated::Invalid)?
            }
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        // Against the caller's clock, below.
        validation.validate_exp = false;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| Unauthenticated::Invalid)?.claims;
        let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or(Unauthenticated::Invalid)?;
        if expires_at <= now {
            return Err(Unauthenticated::Expired);
        }
        if self.refuses(claims.sub) {
            return Err(Unauthenticated::Invalid);
        }
        Ok(Caller { tenant_id: TenantId(claims.tenant), user_id: claims.sub, role: claims.role, expires_at })
    }

    /// The access tokens of these users are not taken any more; those of all others are.
    pub(crate) fn refuse(&self, erased: HashSet<Uuid>) {
        let before = {
            let mut known = self.inner.erased.write().expect("no thread panics while it holds this");
            std::mem::replace(&mut *known, erased.clone())
        };
        if !erased.is_subset(&before) {
            self.inner.erasures.send_modify(|times| *times += 1);
        }
    }

    /// Whether the access tokens of a user are not taken any more, who was erased.
    pub fn refuses(&self, user_id: Uuid) -> bool {
        self.inner.erased.read().expect("no thread panics while it holds this").contains(&user_id)
    }

    /// Changes after somebody was erased: from then on [`refuses`](Self::refuses) says so.
    pub fn erasures(&self) -> watch::Receiver<u64> {
        self.inner.erasures.subscribe()
    }

    pub(crate) fn refuse_also(&self, user_id: Uuid) {
        self.inner.erased.write().expect("no thread panics while it holds this").insert(user_id);
        self.inner.erasures.send_modify(|times| *times += 1);
    }

    fn known(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.inner.keys.read().expect("no thread panics while it holds this").get(kid).cloned()
    }

    async fn refresh(&self, now: DateTime<Utc>) -> Result<(), Unauthenticated> {
        let asked = Instant::now();
        // Held across the wait and the query on purpose: one refresh answers all who asked before it.
        let mut last = self.inner.last_refresh.lock().await;
        match *last {
            Some(last) if last >= asked => return Ok(()),
            Some(last) => tokio::time::sleep_until((last + REFRESH_INTERVAL_MIN).into()).await,
            None => {}
        }
        let started = Instant::now();
        let oldest = now - TimeDelta::seconds(KEY_LIFE_S + ACCESS_TOKEN_LIFE_S);
        let stored = keys::since(&self.inner.pool, oldest).await.map_err(Unauthenticated::Unavailable)?;
        let keys = stored
            .into_iter()
            .filter_map(|key| {
                let decoding = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(&key.public_key)).ok()?;
                Some((key.kid, Arc::new(decoding)))
            })
            .collect();
        *self.inner.keys.write().expect("no thread panics while it holds this") = keys;
        *last = Some(started);
        Ok(())
    }
}
