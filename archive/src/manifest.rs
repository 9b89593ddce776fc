//! What an archived range says of itself. Its manifest is written last: without one nothing of the range counts.

use chrono::{DateTime, Utc};
use domain::envelope::Retention;
use schema::digest::{BLOCK_POSITIONS, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of a manifest in its range's folder.
pub const NAME: &str = "manifest.json";
/// Of the layout that this program writes and reads.
pub const FORMAT: u32 = 1;
/// Positions of a part: 16 blocks of the log's digests. Parts end at its multiples.
pub const PART_POSITIONS: i64 = 16 * BLOCK_POSITIONS;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The retention class.
    pub class: Retention,
    pub first_position: i64,
    /// Included.
    pub last_position: i64,
    pub events: u64,
    /// Of the log, those that events are of, ascending.
    pub generations: Vec<i64>,
    /// When the first and the last event were recorded.
    pub recorded_from: Option<DateTime<Utc>>,
    pub recorded_to: Option<DateTime<Utc>>,
    /// Those that have events, in the order of their positions.
    pub parts: Vec<Part>,
    /// For each block of the log's digests in which the range has events: the digest of these, of all partitions.
    pub blocks: Vec<Block>,
    pub program_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub first_position: i64,
    /// Included.
    pub last_position: i64,
    pub events: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Of each row group, the SHA-256 of its values: `part::values_sha256`.
    pub row_groups: Vec<String>,
}

/// As `schema::digest::BlockDigest`, over the range's events alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub block: i64,
    pub events: i32,
    pub digest: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it is no manifest")]
    Unreadable(#[from] serde_json::Error),
    #[error("it is of format {found}, and this program reads {FORMAT}: use the program that is newer")]
    Newer { found: u32 },
}

impl Manifest {
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(json)?;
        if format != FORMAT {
            return Err(Error::Newer { found: format });
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// Of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Where the folders of a range are, below that of all archives. Each writing of it has one of its own in there.
pub fn folder(class: Retention, first: i64, last: i64) -> String {
    format!("{}/{first:019}-{last:019}", class.as_str())
}

/// How the name of a part begins, with so many digits that names are in the order of positions.
pub fn part_name(first: i64, last: i64) -> String {
    format!("events-{first:019}-{last:019}.parquet")
}

/// The name of a part that `run` writes: nobody else writes to it.
pub fn part_name_of(first: i64, last: i64, run: &str) -> String {
    format!("events-{first:019}-{last:019}-{run}.parquet")
}

/// The first and the last position of each part that a range may have.
pub fn parts(first: i64, last: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut at = first;
    std::iter::from_fn(move || {
        let start = at;
        let end = ((at - 1) / PART_POSITIONS + 1).saturating_mul(PART_POSITIONS).min(last);
        at = end + 1;
        (start <= last).then_some((start, end))
    })
}

/// By which the log knows a manifest.
pub fn sha256(json: &[u8]) -> [u8; 32] {
    Sha256::digest(json).into()
}

/// The same as text, as it stands in manifests.
pub fn sha256_hex(hash: Sha256) -> String {
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_at_fixed_positions() {
        let parts = |first, last| parts(first, last).collect::<Vec<_>>();
        assert_eq!(parts(1, 2_000_000), [(1, 1_048_576), (1_048_577, 2_000_000)]);
        assert_eq!(parts(1_048_577, 2_097_152), [(1_048_577, 2_097_152)]);
        assert_eq!(parts(5, 5), [(5, 5)]);
    }

    #[test]
    fn a_format_that_is_not_known_is_said() {
        let error = Manifest::from_json(br#"{"format": 2}"#).expect_err("it is newer");
        assert!(matches!(error, Error::Newer { found: 2 }));
        assert!(matches!(Manifest::from_json(b"[]"), Err(Error::Unreadable(_))));
    }
}
