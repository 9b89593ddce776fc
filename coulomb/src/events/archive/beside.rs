//! What lies in the same blocks of positions as a range: the digests that were sealed are of all of it together.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use archive::check::PartFile;
use archive::manifest::{self, Manifest, Part};
use archive::{Location, check::Finding};
use domain::envelope::Retention;
use event_store::archiving::{Hashed, Range};
use schema::digest::{block_of, positions_of};
use schema::log::Position;

use super::job::Job;

pub struct Beside<'a> {
    job: &'a Job<'a>,
    range: &'a Range,
    /// Other detached ranges that have a block in common with it.
    archived: Vec<Archived>,
    /// Of blocks with positions in these, something was dropped for good: their digests can't be made any more.
    dropped: Vec<(Position, Position)>,
}

struct Archived {
    place: Location,
    manifest: Manifest,
    /// The part that was read last, by its number.
    open: Option<(usize, PartFile)>,
    /// The row group that was decoded last.
    decoded: Option<((usize, usize), Vec<Hashed>)>,
}

impl<'a> Beside<'a> {
    pub async fn of(job: &'a Job<'a>, range: &'a Range) -> anyhow::Result<Self> {
        let (first, last) = (positions_of(block_of(range.first)).0, positions_of(block_of(range.last)).1);
        let mut beside = Self { job, range, archived: vec![], dropped: vec![] };
        for class in Retention::ALL {
            for other in job.store.archivable_ranges(class).await? {
                let own = class == job.class && other.first == range.first;
                if own || other.attached || other.last < first || other.first > last {
                    continue;
                }
                match &other.archive {
                    Some(archive) => {
                        let place = Location::parse(&archive.url)?;
                        let json = place.get(manifest::NAME).await?;
                        if manifest::sha256(&json).as_slice() != archive.manifest_sha256 {
                            bail!(
                                "the manifest in {} is not the one that was written down: verify that archive first",
                                archive.url
                            );
                        }
                        let manifest = Manifest::from_json(&json).with_context(|| place.url().to_owned())?;
                        beside.archived.push(Archived { place, manifest, open: None, decoded: None });
                    }
                    None => beside.dropped.push((other.first, other.last)),
                }
            }
        }
        Ok(beside)
    }

    /// Everything of a block that is not of the range, in no order. None: some of it is gone.
    pub async fn block(&mut self, block: i64) -> anyhow::Result<Option<Vec<Hashed>>> {
        let (first, last) = positions_of(block);
        if self.dropped.iter().any(|(from, to)| *from <= last && *to >= first) {
            return Ok(None);
        }
        let within = (Position(first.0 - 1), last);
        let own = (self.range.first, self.range.last);
        let mut hashes = self.job.store.hashes_beside(within, self.job.class, own).await?;
        for archived in &mut self.archived {
            archived.add(first, last, &mut hashes).await?;
        }
        Ok(Some(hashes))
    }
}

impl Archived {
    async fn add(&mut self, first: Position, last: Position, hashes: &mut Vec<Hashed>) -> anyhow::Result<()> {
        let parts: Vec<_> = self.manifest.parts.iter().cloned().enumerate().collect();
        for (number, part) in parts {
            if part.first_position > last.0 || part.last_position < first.0 {
                continue;
            }
            self.open(number, &part).await?;
            let Some((_, file)) = &self.open else { continue };
            for group in 0..file.groups() {
                if file.positions(group).is_some_and(|(from, to)| from > last || to < first) {
                    continue;
                }
                if self.decoded.as_ref().is_none_or(|(which, _)| *which != (number, group)) {
                    self.decoded = Some(((number, group), file.hashes(group)?));
                }
                let decoded = self.decoded.iter().flat_map(|(_, hashes)| hashes);
                hashes.extend(decoded.filter(|hashed| hashed.position >= first && hashed.position <= last));
            }
        }
        Ok(())
    }

    async fn open(&mut self, number: usize, part: &Part) -> anyhow::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == number) {
            return Ok(());
        }
        let (file, found) = PartFile::open(&self.place, part).await?;
        if let Some(finding) = found.first() {
            bail!("{}, which is beside: {finding}. Verify that archive first", self.place.url());
        }
        self.open = file.map(|file| (number, file));
        Ok(())
    }
}

/// The digests of a block's partitions that are not those that were sealed.
pub fn differences(
    block: i64,
    mut hashes: Vec<Hashed>,
    sealed: &[(schema::partition::Partition, i32, Vec<u8>)],
) -> Vec<Finding> {
    hashes.sort();
    let mut digests = BTreeMap::new();
    for hashed in hashes {
        let digest = digests.entry(hashed.partition).or_insert_with(|| schema::digest::BlockDigest::of(block));
        digest.take(hashed.position, hashed.payload_hash);
    }
    let (first, last) = positions_of(block);
    let differs = sealed.iter().filter(|(partition, events, digest)| {
        let empty = schema::digest::BlockDigest::of(block);
        let made = digests.get(&partition.number()).unwrap_or(&empty);
        made.events != *events || made.digest.as_slice() != digest
    });
    differs.map(|(partition, ..)| Finding::NotSealed { first, last, partition: partition.number() }).collect()
}
