//! What proves that nothing of the log was left out or changed: a hash of each stored payload, and over them a running
//! digest for each partition, in blocks of positions.
//!
//! Digests are over what is stored. Upcasters, which change what is read, and erasure, which destroys keys, don't change
//! them.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::log::Position;

/// Positions of a block. Fixed for ever: digests are stored under them.
pub const BLOCK_POSITIONS: i64 = 65_536;

/// The first 16 bytes of the SHA-256 of a payload's JSON text, as it is stored to the byte.
pub fn payload_hash(payload: &str) -> Uuid {
    let hash = Sha256::digest(payload.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(first)
}

/// The block of positions that a position is in, from 0.
pub const fn block_of(position: Position) -> i64 {
    (position.0 - 1).div_euclid(BLOCK_POSITIONS)
}

/// The first and the last position of a block.
pub const fn positions_of(block: i64) -> (Position, Position) {
    (Position(block * BLOCK_POSITIONS + 1), Position((block + 1) * BLOCK_POSITIONS))
}

/// The digest of one partition's events within one block, so far. It begins as 32 zeros, and takes each event in the order
/// of positions: SHA-256 of what it was, the position (8 bytes, big endian) and the payload's hash (16 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockDigest {
    pub block: i64,
    /// How many events it is of.
    pub events: i32,
    pub digest: [u8; 32],
}

impl BlockDigest {
    pub const fn of(block: i64) -> Self {
        Self { block, events: 0, digest: [0; 32] }
    }

    /// Takes an event of this block.
    pub fn take(&mut self, position: Position, payload_hash: Uuid) {
        debug_assert_eq!(block_of(position), self.block);
        let mut hasher = Sha256::new();
        hasher.update(self.digest);
        hasher.update(position.0.to_be_bytes());
        hasher.update(payload_hash.as_bytes());
        self.digest = hasher.finalize().into();
        self.events += 1;
    }

    /// The digest as hexadecimal text, for people.
    pub fn hex(&self) -> String {
        hex(&self.digest)
    }
}

/// Bytes as hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These can't change: digests are stored.
    #[test]
    fn known_payloads_keep_their_digests() {
        assert_eq!(payload_hash("{}").simple().to_string(), "44136fa355b3678a1146ad16f7e8649e");
        let mut digest = BlockDigest::of(0);
        digest.take(Position(1), payload_hash("{}"));
        digest.take(Position(65_536), payload_hash(r#"{"TokenBlocked":{}}"#));
        assert_eq!(digest.events, 2);
        let again = {
            let first = Sha256::new()
                .chain_update([0; 32])
                .chain_update([0, 0, 0, 0, 0, 0, 0, 1])
                .chain_update(&Sha256::digest("{}")[..16])
                .finalize();
            let second = Sha256::new()
                .chain_update(first)
                .chain_update([0, 0, 0, 0, 0, 1, 0, 0])
                .chain_update(&Sha256::digest(r#"{"TokenBlocked":{}}"#)[..16])
                .finalize();
            hex(&second)
        };
        assert_eq!(digest.hex(), again);
    }

    #[test]
    fn blocks_begin_after_the_last_position_of_the_one_before() {
        let table = [(1, 0), (65_536, 0), (65_537, 1), (131_072, 1), (131_073, 2)];
        for (position, block) in table {
            assert_eq!(block_of(Position(position)), block, "{position}");
        }
        assert_eq!(positions_of(1), (Position(65_537), Position(131_072)));
    }
}
