//! What lies in the same blocks of positions as a range: the digests that were sealed are of all of it together.

use std::collections::BTreeMap;

use archive::check::PartFile;
use archive::manifest::{self, Manifest, Part};
use archive::{Location, check::Finding, location};
use domain::envelope::Retention;
use event_store::archiving::{Hashed, Range};
use schema::digest::{block_of, hex, positions_of};
use schema::log::Position;

use super::job::Job;

pub struct Beside<'a> {
    job: &'a Job<'a>,
    range: &'a Range,
    /// Other detached ranges that have a block in common with it.
    archived: Vec<Archived>,
    /// Of blocks with positions in these, something was dropped for good, or can't be read: their digests can't be made.
    dropped: Vec<(Position, Position)>,
    /// What is wrong with archives beside it.
    damaged: Vec<String>,
}

struct Archived {
    place: Location,
    /// The first and the last position of its range.
    span: (Position, Position),
    manifest: Manifest,
    /// The part that was read last, by its number.
    open: Option<(usize, PartFile)>,
    /// The row group that was decoded last.
    decoded: Option<((usize, usize), Vec<Hashed>)>,
}

impl<'a> Beside<'a> {
    pub async fn of(job: &'a Job<'a>, range: &'a Range) -> anyhow::Result<Self> {
        let (first, last) = (positions_of(block_of(range.first)).0, positions_of(block_of(range.last)).1);
        let mut beside = Self { job, range, archived: vec![], dropped: vec![], damaged: vec![] };
        for class in Retention::ALL {
            for other in job.store.archivable_ranges(class).await? {
                let own = class == job.class && other.first == range.first;
                if own || other.attached || other.last < first || other.first > last {
                    continue;
                }
                match &other.archive {
                    Some(archive) => match Archived::open(archive, (other.first, other.last)).await? {
                        Ok(archived) => beside.archived.push(archived),
                        Err(why) => {
                            beside.damaged.push(format!("{}: {why}", archive.url));
                            beside.dropped.push((other.first, other.last));
                        }
                    },
                    None => beside.dropped.push((other.first, other.last)),
                }
            }
        }
        Ok(beside)
    }

    /// What is wrong with archives beside it, as far as was seen: where, and what.
    pub fn damaged(self) -> Vec<String> {
        self.damaged
    }

    /// Everything of a block that is not of the range, in no order. None: some of it is gone, or can't be read.
    pub async fn block(&mut self, block: i64) -> anyhow::Result<Option<Vec<Hashed>>> {
        let (first, last) = positions_of(block);
        if self.dropped.iter().any(|(from, to)| *from <= last && *to >= first) {
            return Ok(None);
        }
        let within = (Position(first.0 - 1), last);
        let own = (self.range.first, self.range.last);
        let mut hashes = self.job.store.hashes_beside(within, self.job.class, own).await?;
        for number in 0..self.archived.len() {
            if let Err(why) = self.archived[number].add(first, last, &mut hashes).await? {
                let archived = self.archived.swap_remove(number);
                self.damaged.push(format!("{}: {why}", archived.place.url()));
                self.dropped.push(archived.span);
                return Ok(None);
            }
        }
        Ok(Some(hashes))
    }
}

impl Archived {
    /// Or what is wrong with it.
    async fn open(
        archive: &event_store::archiving::Archived,
        span: (Position, Position),
    ) -> anyhow::Result<Result<Self, Finding>> {
        let object = || manifest::NAME.to_owned();
        let place = Location::parse(&archive.url)?;
        let json = match place.get(manifest::NAME).await {
            Ok(json) => json,
            Err(location::Error::Missing { .. }) => return Ok(Err(Finding::Missing { object: object() })),
            Err(error) => return Err(error.into()),
        };
        let (expected, found) = (hex(&archive.manifest_sha256), hex(&manifest::sha256(&json)));
        if expected != found {
            return Ok(Err(Finding::Altered { object: object(), expected, found }));
        }
        Ok(match Manifest::from_json(&json) {
            Ok(manifest) => Ok(Self { place, span, manifest, open: None, decoded: None }),
            Err(error) => Err(Finding::Unreadable { object: object(), why: error.to_string() }),
        })
    }

    async fn add(
        &mut self,
        first: Position,
        last: Position,
        hashes: &mut Vec<Hashed>,
    ) -> anyhow::Result<Result<(), Finding>> {
        let parts: Vec<_> = self.manifest.parts.iter().cloned().enumerate().collect();
        for (number, part) in parts {
            if part.first_position > last.0 || part.last_position < first.0 {
                continue;
            }
            if let Some(finding) = self.open_part(number, &part).await? {
                return Ok(Err(finding));
            }
            let Some((_, file)) = &self.open else { continue };
            for group in 0..file.groups() {
                if file.positions(group).is_some_and(|(from, to)| from > last || to < first) {
                    continue;
                }
                if self.decoded.as_ref().is_none_or(|(which, _)| *which != (number, group)) {
                    match file.hashes(group) {
                        Ok(decoded) => self.decoded = Some(((number, group), decoded)),
                        Err(error) => {
                            return Ok(Err(Finding::Unreadable { object: part.name, why: error.to_string() }));
                        }
                    }
                }
                let decoded = self.decoded.iter().flat_map(|(_, hashes)| hashes);
                hashes.extend(decoded.filter(|hashed| hashed.position >= first && hashed.position <= last));
            }
        }
        Ok(Ok(()))
    }

    async fn open_part(&mut self, number: usize, part: &Part) -> anyhow::Result<Option<Finding>> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == number) {
            return Ok(None);
        }
        let (file, found) = PartFile::open(&self.place, part).await?;
        self.open = file.map(|file| (number, file));
        Ok(found.into_iter().next())
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
