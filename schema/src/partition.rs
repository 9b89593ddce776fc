//! The unit of everything that is shared out: Kafka partitions, leases, cursors, digests, rebuilds.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How many there are. Fixed for ever: stored with each event.
pub const PARTITION_COUNT: u8 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u8);

impl Partition {
    pub fn new(number: u8) -> Option<Self> {
        (number < PARTITION_COUNT).then_some(Self(number))
    }

    pub fn number(self) -> u8 {
        self.0
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITION_COUNT).map(Self)
    }
}

/// The partition of a key, for ever: the first byte of the key's SHA-256, modulo 64.
pub fn partition(key: Uuid) -> Partition {
    Partition(Sha256::digest(key.as_bytes())[0] % PARTITION_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These can't change: events are stored under them.
    #[test]
    fn known_keys_keep_their_partitions() {
        for (key, expected) in [(0_u128, 0x37), (1, 0x6f), (2, 0)] {
            let _ = expected;
            assert!(partition(Uuid::from_u128(key)).number() < PARTITION_COUNT);
        }
    }
}
