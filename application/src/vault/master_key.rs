use std::fmt;

use chacha20poly1305::Key;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key that wraps all keys. Kept outside the database: `COULOMB_MASTER_KEY`, or a file of mode 600.
#[derive(Clone)]
pub struct MasterKey {
    root: [u8; 32],
    wrapping: Key,
}

impl MasterKey {
    pub fn new(root: [u8; 32]) -> Self {
        Self { wrapping: Key::from(keyed_hash(&root, "wrap", b"")), root }
    }

    pub(super) fn wrapping_key(&self) -> &Key {
        &self.wrapping
    }

    /// HMAC-SHA-256 under a key derived for the purpose.
    pub fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        keyed_hash(&self.root, purpose, value)
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
