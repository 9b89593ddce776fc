//! An archive, read back: each part against its hash, the rows in themselves and against the log as long as it has them, and
//! with everything beside them against the digests that were sealed.

use anyhow::bail;
use archive::Location;
use archive::check::{Finding, PartFile, check_rows, difference};
use archive::location;
use archive::manifest::{self, Manifest, Part};
use event_store::archiving::{Archived, Hashed, Range};
use schema::digest::{BlockDigest, block_of, hex, positions_of};
use schema::log::Position;
use schema::stored::StoredEvent;

use super::beside::{self, Beside};
use super::job::{Job, Step};
use super::log::Events;

/// How many are named.
const FINDINGS_MAX: usize = 100;

/// What came of it.
#[derive(Debug, Default)]
pub struct Checked {
    /// The first [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    pub count: usize,
    pub events: u64,
    /// Blocks of which something was dropped for good, or is damaged: they were compared with the manifest alone.
    pub unproven_blocks: u64,
    /// What is wrong with archives that share blocks with it: where, and what. It says nothing against this one.
    pub beside: Vec<String>,
    /// Objects that are in no manifest, such as parts of a run that was killed. Nothing reads them.
    pub strays: Vec<String>,
}

impl Checked {
    pub fn is_sound(&self) -> bool {
        self.count == 0
    }

    fn found(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.count += 1;
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding);
            }
        }
    }
}

/// # Errors
/// When the storage or the database can't be used. What is wrong with the archive is in [`Checked`].
pub async fn verify(job: &Job<'_>, range: &Range, archived: &Archived) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    let place = Location::parse(&archived.url)?;
    let object = || manifest::NAME.to_owned();
    let json = match place.get(manifest::NAME).await {
        Ok(json) => json,
        Err(location::Error::Missing { .. }) => {
            checked.found([Finding::Missing { object: object() }]);
            return Ok(checked);
        }
        Err(error) => return Err(error.into()),
    };
    let (expected, found) = (hex(&archived.manifest_sha256), hex(&manifest::sha256(&json)));
    if expected != found {
        checked.found([Finding::Altered { object: object(), expected, found }]);
    }
    let manifest = match Manifest::from_json(&json) {
        Ok(manifest) => manifest,
        Err(error) => {
            checked.found([Finding::Unreadable { object: object(), why: format!("{:#}", anyhow::Error::new(error)) }]);
            return Ok(checked);
        }
    };
    let of = |class: &str, first, last| format!("positions {first} to {last} of class {class}");
    let found = of(manifest.class.as_str(), manifest.first_position, manifest.last_position);
    let expected = of(job.class.as_str(), range.first.0, range.last.0);
    if found != expected {
        checked.found([Finding::OtherManifest { expected, found }]);
        return Ok(checked);
    }
    for name in place.list().await? {
        if name != manifest::NAME && !manifest.parts.iter().any(|part| part.name == name) {
            checked.strays.push(name);
        }
    }
    let step = job.step("verifying", range);
    let mut reading = Reading {
        job,
        range,
        place: &place,
        manifest: &manifest,
        step: &step,
        beside: Beside::of(job, range).await?,
        checked,
    };
    for (first, last) in manifest::parts(range.first.0, range.last.0) {
        reading.part(Position(first), Position(last)).await?;
        job.turn.is_ours()?;
    }
    let mut checked = reading.checked;
    checked.beside = reading.beside.damaged();
    if checked.is_sound() && checked.events != manifest.events {
        let (expected, found) = (manifest.events, checked.events);
        checked.found([Finding::Count { object: object(), expected, found }]);
    }
    Ok(checked)
}

struct Reading<'a> {
    job: &'a Job<'a>,
    range: &'a Range,
    place: &'a Location,
    manifest: &'a Manifest,
    step: &'a Step<'a>,
    beside: Beside<'a>,
    checked: Checked,
}

impl Reading<'_> {
    async fn part(&mut self, first: Position, last: Position) -> anyhow::Result<()> {
        let part = self.manifest.parts.iter().find(|part| part.first_position == first.0);
        let mut log = self.range.attached.then(|| Events::of(self.job.store, self.job.class, first, last));
        let mut block = (block_of(first), vec![]);
        if let Some(part) = part {
            let (file, findings) = PartFile::open(self.place, part).await?;
            self.checked.found(findings);
            let Some(file) = file else { return Ok(()) };
            if !self.rows(part, file, &mut log, &mut block).await? {
                return Ok(());
            }
        }
        while block.0 <= block_of(last) {
            self.block(block.0, std::mem::take(&mut block.1)).await?;
            block.0 += 1;
        }
        if let Some(log) = &mut log {
            while let Some(logged) = log.next().await? {
                self.checked.found([Finding::Lacking { position: logged.position }]);
            }
        }
        Ok(())
    }

    /// False: the part can't be read to its end.
    async fn rows(
        &mut self,
        part: &Part,
        mut file: PartFile,
        log: &mut Option<Events<'_>>,
        block: &mut (i64, Vec<Hashed>),
    ) -> anyhow::Result<bool> {
        let (mut at, mut events) = (Position(part.first_position - 1), 0);
        while let Some(rows) = file.next_events() {
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    self.checked.found([Finding::Unreadable { object: part.name.clone(), why: error.to_string() }]);
                    return Ok(false);
                }
            };
            events += rows.len() as u64;
            self.checked.found(check_rows(part, self.job.class, &rows, &mut at));
            for row in &rows {
                if let Some(log) = log {
                    self.compare(row, log).await?;
                }
                while block_of(row.position) > block.0 && block_of(row.position) <= block_of(self.range.last) {
                    self.block(block.0, std::mem::take(&mut block.1)).await?;
                    block.0 += 1;
                }
                if block_of(row.position) == block.0 {
                    let StoredEvent { position, partition, payload_hash, .. } = *row;
                    block.1.push(Hashed { position, partition, payload_hash });
                }
            }
            self.step.at(at.0 - self.range.first.0 + 1);
        }
        self.checked.events += events;
        if events != part.events {
            let (object, expected) = (part.name.clone(), part.events);
            self.checked.found([Finding::Count { object, expected, found: events }]);
        }
        Ok(true)
    }

    /// A row with the one that the log has in its place.
    async fn compare(&mut self, row: &StoredEvent, log: &mut Events<'_>) -> anyhow::Result<()> {
        while let Some(logged) = log.next_upto(row.position).await? {
            if logged.position == row.position {
                let position = row.position;
                self.checked.found(difference(row, &logged).map(|column| Finding::Differs { position, column }));
                return Ok(());
            }
            self.checked.found([Finding::Lacking { position: logged.position }]);
        }
        self.checked.found([Finding::Surplus { position: row.position }]);
        Ok(())
    }

    /// All that is archived of a block, in order.
    async fn block(&mut self, block: i64, mut archived: Vec<Hashed>) -> anyhow::Result<()> {
        let mut digest = BlockDigest::of(block);
        for hashed in &archived {
            digest.take(hashed.position, hashed.payload_hash);
        }
        let (first, last) = positions_of(block);
        let written = self.manifest.blocks.iter().find(|of| of.block == block);
        let as_written = match written {
            Some(written) => written.events == digest.events && written.digest == digest.hex(),
            None => digest.events == 0,
        };
        if !as_written {
            self.checked.found([Finding::BlockAltered { first, last }]);
        }
        let sealed = self.job.store.sealed_block(block).await?;
        if sealed.is_empty() {
            bail!(
                "the digests of positions {first} to {last} are not sealed yet: the log's caretaker does it, run it again then"
            );
        }
        match self.beside.block(block).await? {
            Some(beside) => {
                archived.extend(beside);
                self.checked.found(beside::differences(block, archived, &sealed));
            }
            None => self.checked.unproven_blocks += 1,
        }
        Ok(())
    }
}
