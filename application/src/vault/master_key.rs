use std::fmt;
use std::sync::{Arc, OnceLock};

use chacha20poly1305::Key;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key that wraps all keys. Kept outside the database: `COULOMB_MASTER_KEY`, or a file of mode 600.
#[derive(Clone)]
pub struct MasterKey {
    pub(super) root: [u8; 32],
    wrapping: Key,
    /// What hashes are derived from, where that is not this key: see [`MasterKey::set_index_root`].
    index_root: Arc<OnceLock<[u8; 32]>>,
}

impl MasterKey {
    pub fn new(root: [u8; 32]) -> Self {
        Self { wrapping: Key::from(keyed_hash(&root, "wrap", b"")), root, index_root: Arc::default() }
    }

    pub(super) fn wrapping_key(&self) -> &Key {
        &self.wrapping
    }

    /// Hashes are derived from another key than this one: the first master key that the database had.
    pub(super) fn set_index_root(&self, root: [u8; 32]) {
        let _ = self.index_root.set(root);
    }

    pub(super) fn index_root(&self) -> &[u8; 32] {
        self.index_root.get().unwrap_or(&self.root)
    }

    /// HMAC-SHA-256 under a key derived for the purpose. It stays the same when the master key is changed.
    pub fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        keyed_hash(self.index_root(), purpose, value)
    }

    /// Seals what belongs to the platform itself and to no person, bound to a name.
    pub(crate) fn seal(&self, name: &str, clear: &[u8]) -> Vec<u8> {
        super::encrypt(&self.wrapping, name.as_bytes(), clear)
    }

    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, super::Error> {
        super::decrypt(&self.wrapping, name.as_bytes(), sealed)
    }
}

fn keyed_hash(root: &[u8; 32], purpose: &str, value: &[u8]) -> [u8; 32] {
    let mac = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let derived = mac(root).chain_update(purpose.as_bytes()).finalize().into_bytes();
    mac(&derived).chain_update(value).finalize().into_bytes().into()
}

/// Says nothing of the key.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}
