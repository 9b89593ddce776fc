//! argon2id, in memory that is taken once and used again.
//!
//! A hash takes 19 MiB by default. Given back to the allocator after each, they stay with the process all the same, one
//! or more for each thread that ever hashed: hundreds of megabytes. So there is one for each core, and no more hashes at
//! a time than that, whoever asks: people who log in, chargers that are registered, chargers that connect.

use std::sync::{Condvar, LazyLock, Mutex, PoisonError};

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, Decimal, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// What the memories may come to on a large machine.
const MEMORIES_MAX: usize = 8;

/// RFC 9106 allows longer ones; `password_hash` does not.
const SALT_BYTES_MAX: usize = Salt::MAX_LENGTH;

/// The hash of a password with its salt and parameters, as a PHC string.
///
/// Waits for one of the memories, then takes some 20 ms of one core by the default cost: not for an async thread.
///
/// # Errors
/// By parameters that fit into no PHC string.
pub fn hash(params: &Params, password: &[u8]) -> Result<String, password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    let output = output_of((Algorithm::Argon2id, Version::V0x13, params.clone()), password, salt.as_salt())?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Decimal::from(Version::V0x13)),
        params: ParamsString::try_from(params)?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Whether this password is the one of the PHC string, by whose own parameters it is hashed. Waits as [`hash`] does.
///
/// # Errors
/// The string is none of argon2's.
pub fn matches(phc: &str, password: &[u8]) -> Result<bool, password_hash::Error> {
    let expected = PasswordHash::new(phc)?;
    let (Some(salt), Some(output)) = (expected.salt, expected.hash) else {
        return Err(password_hash::Error::PhcStringField);
    };
    let version = expected.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let cost = (Algorithm::try_from(expected.algorithm)?, version, Params::try_from(&expected)?);
    // In constant time: `Output` has no other comparison.
    Ok(output_of(cost, password, salt)? == output)
}

fn output_of(
    (algorithm, version, params): (Algorithm, Version, Params),
    password: &[u8],
    salt: Salt<'_>,
) -> Result<Output, password_hash::Error> {
    let mut salt_bytes = [0; SALT_BYTES_MAX];
    let salt = salt.decode_b64(&mut salt_bytes)?;
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let blocks = params.block_count();
    let argon2 = Argon2::new(algorithm, version, params);
    Output::init_with(length, |output| {
        let mut memory = Memory::take();
        Ok(argon2.hash_password_into_with_memory(password, salt, output, memory.of(blocks))?)
    })
}

/// One that is used by nobody else, until it is dropped.
struct Memory(Vec<Block>);

struct Memories {
    free: Mutex<Vec<Vec<Block>>>,
    given_back: Condvar,
}

/// They are taken when they are first needed.
static MEMORIES: LazyLock<Memories> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Memories { free: Mutex::new(vec![Vec::new(); cores.min(MEMORIES_MAX)]), given_back: Condvar::new() }
});

impl Memory {
    fn take() -> Self {
        let mut free = MEMORIES.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The one that was used last: of those that were never needed at a time, some stay empty.
            if let Some(memory) = free.pop() {
                return Self(memory);
            }
            free = MEMORIES.given_back.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was hashed before is overwritten, not read.
    fn of(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() < blocks {
            // Not copied into the larger one.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); blocks];
        }
        &mut self.0[..blocks]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        MEMORIES.free.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.0));
        MEMORIES.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    fn params(memory_kib: u32) -> Params {
        Params::new(memory_kib, 1, 1, None).unwrap()
    }

    /// Whatever stands in the memory from before, larger or smaller.
    #[test]
    fn hashes_are_those_of_argon2() {
        let salt = SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
        for memory_kib in [64, 8, 128, 8, 64] {
            let theirs = Argon2::from(params(memory_kib)).hash_password(b"correct horse", &salt).unwrap().to_string();
            assert!(matches(&theirs, b"correct horse").unwrap());
            assert!(!matches(&theirs, b"battery staple").unwrap());
            let ours = hash(&params(memory_kib), b"correct horse").unwrap();
            assert!(ours.starts_with(&format!("$argon2id$v=19$m={memory_kib},t=1,p=1$")), "{ours}");
            let parsed = PasswordHash::new(&ours).unwrap();
            assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
            assert!(Argon2::default().verify_password(b"battery staple", &parsed).is_err());
        }
        for wrong in
            ["", "secret", "$argon2id$v=19$m=8,t=1,p=1", "$scrypt$ln=4$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(matches(wrong, b"secret").is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_are_only_so_many_memories() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let threads: Vec<_> = (0..4 * MEMORIES_MAX).map(|_| std::thread::spawn(|| hash(&params(256), b"x"))).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        // Others' may be in use at the moment.
        assert!(MEMORIES.free.lock().unwrap().len() <= cores.min(MEMORIES_MAX));
    }
}
