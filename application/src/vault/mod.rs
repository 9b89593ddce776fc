//! Personal values are sealed before they become part of an event, each under the key of the person it belongs to.
//!
//! Read models, topics, archives and exports hold the sealed value; it is opened where an answer is written. Destroying
//! the key erases the person everywhere.

mod event;
mod master_key;
pub mod rotation;
mod subject;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use domain::id::Sealed;
use pool::Pool;
use quick_cache::sync::Cache;
use uuid::Uuid;

pub use master_key::MasterKey;
pub use subject::Subject;

/// Keys kept unwrapped in memory.
const KEYS_CACHED_MAX: usize = 50_000;
/// How long one is used before it is looked up again: for so long a destroyed key may outlive its row in a process that was
/// not told, and for so long values are sealed under a person's last key but one.
pub const KEY_AGE_MAX: Duration = Duration::from_secs(60);
/// The names under which the check and the key of hashes are sealed.
const CHECK: &str = "master key check";
const INDEX_KEY: &str = "index key";
const NONCE_BYTES: usize = 24;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the vault can't be read")]
    Database(#[from] sqlx::Error),
    /// The master key is not the one that wrapped it, or the value was altered.
    #[error("a key or value can't be opened with this master key")]
    WrongKey,
}

/// Seals and opens. A cheap handle.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    master: MasterKey,
    ids: Cache<Subject, (Uuid, Instant)>,
    keys: Cache<Uuid, (Key, Instant)>,
}

impl Vault {
    pub fn new(pool: impl Into<Pool>, master: MasterKey) -> Self {
        let pool = pool.into();
        let inner = Inner { pool, master, ids: Cache::new(KEYS_CACHED_MAX), keys: Cache::new(KEYS_CACHED_MAX) };
        Self { inner: Arc::new(inner) }
    }

    /// Whether the master key is the one that this database has been used with. The first one to ask makes it so.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if it is another one.
    pub async fn check_master_key(&self) -> Result<(), Error> {
        let mut transaction = self.inner.pool.begin().await?;
        sqlx::query("INSERT INTO master_key_check (sealed) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(self.inner.master.seal(CHECK, CHECK.as_bytes()))
            .execute(&mut *transaction)
            .await?;
        let (sealed, index_key): (Vec<u8>, Option<Vec<u8>>) =
            sqlx::query_as("SELECT sealed, index_key FROM master_key_check").fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        let master = &self.inner.master;
        master.open(CHECK, &sealed)?;
        if let Some(index_key) = index_key {
            let root = master.open(INDEX_KEY, &index_key)?;
            master.set_index_root(root.try_into().map_err(|_| Error::WrongKey)?);
        }
        Ok(())
    }

    pub fn master(&self) -> &MasterKey {
        &self.inner.master
    }

    /// The value under the subject's key, which is made if it has none: `v1.<key id>.<nonce and ciphertext>`.
    pub async fn seal(&self, subject: Subject, clear: &str) -> Result<Sealed, Error> {
        let (key_id, key) = self.key_of(subject).await?;
        let sealed = encrypt(&key, key_id.as_bytes(), clear.as_bytes());
        Ok(Sealed(format!("v1.{}.{}", key_id.simple(), URL_SAFE_NO_PAD.encode(sealed))))
    }

    /// The clear value; none when its person has been erased.
    pub async fn open(&self, sealed: &Sealed) -> Result<Option<String>, Error> {
        let (key_id, sealed) = parse(&sealed.0).ok_or(Error::WrongKey)?;
        let Some(key) = self.key(key_id).await? else {
            return Ok(None);
        };
        let clear = decrypt(&key, key_id.as_bytes(), &sealed)?;
        String::from_utf8(clear).map(Some).map_err(|_| Error::WrongKey)
    }

    /// A keyed hash by which a value is found without being stored: e-mail addresses, tokens.
    pub fn index_hash(&self, purpose: &str, value: &str) -> [u8; 32] {
        self.inner.master.hash(purpose, value.as_bytes())
    }

    /// Drops every key in memory. They are looked up again, but for those that were destroyed.
    pub fn forget(&self) {
        self.inner.ids.clear();
        self.inner.keys.clear();
    }

    async fn key_of(&self, subject: Subject) -> Result<(Uuid, Key), Error> {
        if let Some((key_id, since)) = self.inner.ids.get(&subject)
            && since.elapsed() < KEY_AGE_MAX
            && let Some(key) = self.cached(key_id)
        {
            return Ok((key_id, key));
        }
        let (key_id, fresh) = (Uuid::now_v7(), random_key());
        let wrapped = encrypt(self.inner.master.wrapping_key(), key_id.as_bytes(), &fresh);
        let made: Option<Uuid> = sqlx::query_scalar(include_str!("make_key.sql"))
            .bind(key_id)
            .bind(subject.to_string())
            .bind(wrapped)
            .bind(subject.kept_days())
            .fetch_optional(&self.inner.pool)
            .await?;
        let key_id = match made {
            Some(key_id) => key_id,
            None => {
                sqlx::query_scalar("SELECT key_id FROM vault_keys WHERE subject = $1 AND retired_at IS NULL")
                    .bind(subject.to_string())
                    .fetch_one(&self.inner.pool)
                    .await?
            }
        };
        let key = self.key(key_id).await?.ok_or(Error::WrongKey)?;
        self.inner.ids.insert(subject, (key_id, Instant::now()));
        Ok((key_id, key))
    }

    fn cached(&self, key_id: Uuid) -> Option<Key> {
        let (key, since) = self.inner.keys.get(&key_id)?;
        (since.elapsed() < KEY_AGE_MAX).then_some(key)
    }

    async fn key(&self, key_id: Uuid) -> Result<Option<Key>, Error> {
        if let Some(key) = self.cached(key_id) {
            return Ok(Some(key));
        }
        // Its age counts from before it is looked up.
        let since = Instant::now();
        let wrapped: Option<Vec<u8>> = sqlx::query_scalar("SELECT wrapped FROM vault_keys WHERE key_id = $1")
            .bind(key_id)
            .fetch_optional(&self.inner.pool)
            .await?;
        let Some(wrapped) = wrapped else {
            self.inner.keys.remove(&key_id);
            return Ok(None);
        };
        let key = decrypt(self.inner.master.wrapping_key(), key_id.as_bytes(), &wrapped)?;
        let key = *Key::from_slice(key.get(..32).ok_or(Error::WrongKey)?);
        self.inner.keys.insert(key_id, (key, since));
        Ok(Some(key))
    }
}

fn parse(text: &str) -> Option<(Uuid, Vec<u8>)> {
    let (key_id, sealed) = text.strip_prefix("v1.")?.split_once('.')?;
    Some((Uuid::parse_str(key_id).ok()?, URL_SAFE_NO_PAD.decode(sealed).ok()?))
}

pub(crate) fn random_key() -> Key {
    Key::from(rand::random::<[u8; 32]>())
}

/// XChaCha20-Poly1305 with a random nonce before the ciphertext; `bound` is authenticated with it.
pub(crate) fn encrypt(key: &Key, bound: &[u8], clear: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let payload = Payload { msg: clear, aad: bound };
    let cipher = XChaCha20Poly1305::new(key)
        .encrypt(XNonce::from_slice(&nonce), payload)
        .expect("a value in memory is shorter than the cipher's limit of 256 GB");
    [&nonce[..], &cipher].concat()
}

pub(crate) fn decrypt(key: &Key, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (nonce, cipher) = sealed.split_at_checked(NONCE_BYTES).ok_or(Error::WrongKey)?;
    XChaCha20Poly1305::new(key)
        .decrypt(XNonce::from_slice(nonce), Payload { msg: cipher, aad: bound })
        .map_err(|_| Error::WrongKey)
}
