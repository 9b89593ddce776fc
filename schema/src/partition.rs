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
        let table = [(0, 55), (1, 60), (2, 41), (0x0190_163d_8694_739a_b1c2_d3e4_f506_1728, 36), (u128::MAX, 26)];
        for (key, expected) in table {
            assert_eq!(partition(Uuid::from_u128(key)).number(), expected, "{key:#x}");
        }
    }

    #[test]
    fn keys_are_spread_over_all() {
        let mut counts = [0; PARTITION_COUNT as usize];
        for key in 0..6_400 {
            counts[usize::from(partition(Uuid::from_u128(key)).number())] += 1;
        }
        assert!(counts.iter().all(|count| (70..=130).contains(count)), "{counts:?}");
    }

    #[test]
    fn there_are_64() {
        assert_eq!(Partition::all().count(), 64);
        assert_eq!((Partition::new(63).map(Partition::number), Partition::new(64)), (Some(63), None));
    }
}
