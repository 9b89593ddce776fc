//! Reading archived ranges: only what may have the events is fetched, and what is decoded is held for who asks next.

mod checked;
mod file;
mod recent;

use event_store::{Archive, ArchiveError, ArchivedRange};
use futures_util::future::BoxFuture;
use schema::log::{Position, StreamId};
use schema::stored::StoredEvent;

use crate::Location;
use crate::location;
use crate::manifest::{self, Manifest};
use file::PartFile;
use recent::Recent;

/// Manifests that are held.
const RANGES_MAX: usize = 64;
/// Parts of which it is held what their ends say: where row groups are, and which streams are not in them.
const PARTS_MAX: usize = 16;
/// Decoded row groups that are held: at most 16 MiB of text each, and 5 MB beside it.
const GROUPS_MAX: usize = 4;

/// Reads archives wherever their URLs say that they are. Credentials come from the environment.
#[derive(Debug)]
pub struct Reader {
    ranges: Recent<ArchivedRange, Range>,
    parts: Recent<(String, String), PartFile>,
    groups: Recent<(String, String, usize), Vec<StoredEvent>>,
}

#[derive(Debug)]
struct Range {
    location: Location,
    manifest: Manifest,
}

impl Default for Reader {
    fn default() -> Self {
        Self { ranges: Recent::new(RANGES_MAX), parts: Recent::new(PARTS_MAX), groups: Recent::new(GROUPS_MAX) }
    }
}

impl Archive for Reader {
    fn read<'a>(
        &'a self,
        range: &'a ArchivedRange,
        after: Position,
        upto: Position,
        stream: Option<StreamId>,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, ArchiveError>> {
        Box::pin(self.read_range(range, after, upto, stream))
    }
}

impl Reader {
    async fn read_range(
        &self,
        range: &ArchivedRange,
        after: Position,
        upto: Position,
        stream: Option<StreamId>,
    ) -> Result<Vec<StoredEvent>, ArchiveError> {
        let known = self.ranges.get(range.clone(), open(range)).await?;
        let is_wanted = |event: &&StoredEvent| {
            stream.is_none_or(|of| of.id == event.aggregate_id && of.aggregate.as_str() == event.aggregate_type)
        };
        let mut events = vec![];
        let parts = known.manifest.parts.iter();
        for part in parts.filter(|part| part.first_position <= upto.0 && part.last_position > after.0) {
            let url = || known.location.url().to_owned();
            let file = self.parts.get((url(), part.name.clone()), PartFile::open(&known.location, part)).await?;
            for group in file.groups(after, upto) {
                if let Some(stream) = stream
                    && !file.may_have(&known.location, part, group, stream).await?
                {
                    continue;
                }
                let key = (url(), part.name.clone(), group);
                let decoded = file.decode(&known.location, part, group, range.retention);
                let decoded = self.groups.get(key, decoded).await?;
                let from = decoded.partition_point(|event| event.position <= after);
                let to = decoded.partition_point(|event| event.position <= upto);
                events.extend(decoded[from..to].iter().filter(is_wanted).cloned());
            }
        }
        Ok(events)
    }
}

/// The range's manifest, which is the one that the log knows.
async fn open(range: &ArchivedRange) -> Result<Range, ArchiveError> {
    let unreachable = |error: location::Error| of_location(&range.url, manifest::NAME, error);
    let location = Location::parse(&range.url).map_err(unreachable)?;
    let json = location.get(manifest::NAME).await.map_err(unreachable)?;
    let altered = |what: &str| ArchiveError::Altered { url: range.url.clone(), what: what.to_owned() };
    if manifest::sha256(&json) != range.manifest_sha256 {
        return Err(altered("its manifest has another hash than the log knows"));
    }
    let manifest = Manifest::from_json(&json).map_err(|error| altered(&error.to_string()))?;
    let said = (manifest.class, manifest.first_position, manifest.last_position);
    if said != (range.retention, range.first.0, range.last.0) {
        return Err(altered("its manifest is of another range"));
    }
    Ok(Range { location, manifest })
}

/// What went wrong with an object.
fn of_location(url: &str, name: &str, error: location::Error) -> ArchiveError {
    match error {
        location::Error::Missing { .. } => ArchiveError::Missing { url: url.to_owned(), what: name.to_owned() },
        error => ArchiveError::Unreachable { url: url.to_owned(), source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests;
