//! Whether a charger's password is right: argon2 once, then a keyed hash in memory.
//!
//! After a deploy every charger of an edge reconnects within a minute; at 20 ms a password, argon2 alone would keep them out.

use std::sync::Arc;
use std::time::Instant;

use application::credential::CanonicalPassword;
use hmac::{Hmac, Mac};
use quick_cache::sync::Cache;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// Credentials whose password is remembered.
const REMEMBERED_MAX: usize = 100_000;
/// Chargers that wait for their turn with argon2. The others are told to come again.
const WAITING_MAX: usize = 512;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("more passwords are waiting to be checked than is allowed")]
    Busy,
    #[error(transparent)]
    Credential(#[from] application::credential::BrokenCredential),
    #[error("checking was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

type Digest = [u8; 32];

/// Checks passwords of chargers.
pub struct Passwords {
    /// Of this process: what is remembered means nothing to another.
    key: [u8; 32],
    /// The keyed hash of the password by that of its credential, so that a changed credential is another.
    verified: Cache<Digest, Digest>,
    /// Bounds the threads that hash, or wait for memory to hash in.
    running: Arc<Semaphore>,
    places: Semaphore,
}

impl Passwords {
    pub fn new() -> Self {
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            key: rand::random(),
            verified: Cache::new(REMEMBERED_MAX),
            running: Arc::new(Semaphore::new(parallel)),
            places: Semaphore::new(parallel + WAITING_MAX),
        }
    }

    /// Whether this is the password of the credential.
    ///
    /// # Errors
    /// When that can't be told now; the charger should come again.
    pub async fn verify(&self, password: CanonicalPassword, credential: &str) -> Result<bool, Error> {
        let of_credential = self.digest("credential", credential.as_bytes());
        let of_password = self.digest("password", password.as_bytes());
        if let Some(verified) = self.verified.get(&of_credential)
            && bool::from(verified.ct_eq(&of_password))
        {
            return Ok(true);
        }
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?;
        // Never closed.
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        let credential = credential.to_owned();
        let matches = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let started = Instant::now();
            let matches = password.matches(&credential);
            metrics::histogram!("coulomb_ocpp_edge_password_check_seconds").record(started.elapsed().as_secs_f64());
            matches
        })
        .await??;
        if matches {
            self.verified.insert(of_credential, of_password);
        }
        Ok(matches)
    }

    fn digest(&self, purpose: &str, value: &[u8]) -> Digest {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.chain_update(purpose.as_bytes()).chain_update([0]).chain_update(value).finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, SaltString};
    use argon2::{Algorithm, Argon2, Params, Version};

    use super::*;

    fn credential(password: &str, salt: &str) -> String {
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        cheap.hash_password(password.as_bytes(), &SaltString::from_b64(salt).unwrap()).unwrap().to_string()
    }

    #[tokio::test]
    async fn what_was_verified_is_remembered_for_its_credential_alone() {
        let passwords = Passwords::new();
        let (old, new) = (credential("old secret", "c2FsdHNhbHRzYWx0"), credential("new secret", "cGVwcGVycGVwcGVy"));
        let check = async |password: &str, credential: &str| {
            passwords.verify(CanonicalPassword::of(password.as_bytes()), credential).await.unwrap()
        };
        assert!(!check("wrong", &old).await);
        assert_eq!(passwords.verified.len(), 0);
        for _ in 0..2 {
            assert!(check("old secret", &old).await);
            assert_eq!(passwords.verified.len(), 1);
        }
        assert!(!check("new secret", &old).await);
        assert!(!check("old secret", &new).await);
        assert!(check("new secret", &new).await);
    }

    #[tokio::test]
    async fn nothing_is_verified_against_what_is_no_hash() {
        let verified = Passwords::new().verify(CanonicalPassword::of(b"secret"), "secret").await;
        assert!(matches!(verified, Err(Error::Credential(_))));
    }
}
