//! Ranges of the log that were moved to object storage, and what reads them there.

mod bulk;
mod known;
mod look;
mod merge;

use std::fmt::Debug;

use domain::envelope::Retention;
use futures_util::future::BoxFuture;
use schema::log::{Position, StreamId};
use schema::stored::StoredEvent;

pub(crate) use known::{ARCHIVE_POSITIONS, Archives, Wanted};
pub(crate) use merge::{FromRow, decoded_stored};

/// A range of positions whose events of one retention class are in an archive, and not in the log any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArchivedRange {
    pub retention: Retention,
    pub first: Position,
    /// Included.
    pub last: Position,
    /// Of the folder that its manifest is in, without credentials.
    pub url: String,
    pub manifest_sha256: [u8; 32],
    /// How many there are.
    pub events: i64,
}

/// Where archived ranges of the log are read. Implemented by the room `archive`.
pub trait Archive: Debug + Send + Sync + 'static {
    /// The events of one archived range with positions in (`after`, `upto`], ascending, as they were stored; of one stream
    /// only, where asked. The caller bounds them.
    ///
    /// # Errors
    /// When they can't be had, or are not what was archived: never are there some of them only.
    fn read<'a>(
        &'a self,
        range: &'a ArchivedRange,
        after: Position,
        upto: Position,
        stream: Option<StreamId>,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, ArchiveError>>;
}

/// Why archived events can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(
        "positions {first} to {last} of class {class} are in the archive at {url}, and this program was built without the feature \
         `archive`: build it with `cargo build --release --features archive`",
        class = .0.retention.as_str(), first = .0.first, last = .0.last, url = .0.url
    )]
    NotBuilt(Box<ArchivedRange>),
    #[error("the archive at {url} can't be read: look for its storage, and for the credentials in the environment")]
    Unreachable { url: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the archive at {url} has no {what}: bring it back from where copies are kept")]
    Missing { url: String, what: String },
    #[error("the archive at {url} is not what was archived, {what}: bring it back from where copies are kept")]
    Altered { url: String, what: String },
}

/// Whether a position may be in one of the ranges.
pub(crate) fn has(ranges: &[ArchivedRange], position: Position) -> bool {
    ranges.iter().any(|range| range.first <= position && range.last >= position)
}
