//! Proving that the read models have consumed the log whole and as it was appended: everything is computed again from the
//! stored payloads, and compared with what was taken down at the append, by the log's caretaker and by the workers.

mod archived;
mod ledger;
mod log;

use std::collections::BTreeMap;

use event_store::EventStore;
use pool::Pool;
use schema::digest::{BlockDigest, block_of, hex, positions_of};
use schema::log::Position;
use schema::partition::Partition;
use schema::view::Model;
use serde::Serialize;
use sha2::{Digest, Sha256};

use archived::Archived;
use ledger::{Checkpoint, Ledger};

/// Findings that are told one by one; of more, only their number.
pub const FINDINGS_MAX: usize = 100;

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database can't be read")]
    Database(#[from] sqlx::Error),
    #[error("what was archived can't be read")]
    Log(#[from] event_store::read::Error),
    #[error("the log was cut while it was read: its end went from {before} to {now}. Run the command again")]
    Cut { before: Position, now: Position },
}

/// Something that is not as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Finding {
    /// The payload is not the one that was appended.
    PayloadAltered {
        position: Position,
        partition: i16,
        event_type: String,
    },
    /// The log has no events at these positions, though nothing was dropped there.
    EventsMissing {
        first: Position,
        last: Position,
    },
    /// Events at these positions were archived, and the archive does not have them as they were.
    ArchiveBroken {
        first: Position,
        last: Position,
        why: String,
    },
    /// The events of a partition in a block of positions are not those that were sealed.
    NotAsSealed {
        partition: i16,
        block: i64,
        first: Position,
        last: Position,
        sealed: String,
        found: String,
    },
    /// The read models have consumed something else than what is in the log.
    NotAsConsumed {
        build: i64,
        partition: i16,
        block: i64,
        first: Position,
        last: Position,
        consumed: String,
        found: String,
    },
    /// The read models say that they contain these positions, and have no record of having consumed them.
    NeverConsumed {
        partition: i16,
        block: i64,
        first: Position,
        last: Position,
    },
    /// A checkpoint is not where its digest says. `consumed_to`: what it has consumed ends there; none: nowhere in the block.
    WrongCheckpoint {
        partition: i16,
        checkpoint: Position,
        consumed_to: Option<Position>,
    },
    /// An event between a partition's checkpoint and where it says that it is: it was passed over.
    PassedOver {
        partition: i16,
        checkpoint: Position,
        reached: Position,
        position: Position,
    },
    AheadOfLog {
        partition: i16,
        reached: Position,
        head: Position,
    },
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Everything up to here is in the read models, by what they say.
    pub position: Position,
    pub head: Position,
    pub events: i64,
    /// Of all blocks of all partitions, as computed now.
    pub digest: String,
    pub findings: Vec<Finding>,
    /// All, told or not.
    pub findings_count: usize,
    /// Of the events, those that archives have.
    pub archived: i64,
    /// Positions whose events are not kept any more, in whole or in part: of them only records can be compared.
    pub not_kept: i64,
    /// Up to here the read models were built when no digests were kept; 0: they have always been.
    pub unproven_to: Position,
    /// Of the read model that was asked for, or of all.
    pub parked_keys: i64,
    pub parked_events: i64,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.findings_count == 0
    }
}

/// How far the proof is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub position: Position,
    pub head: Position,
    pub events: i64,
}

struct Verifier {
    ledger: Ledger,
    running: BTreeMap<Partition, BlockDigest>,
    /// Of a partition whose running digest was met: where.
    met: BTreeMap<Partition, Position>,
    /// What the digest of each partition was at its checkpoint.
    at_checkpoint: BTreeMap<Partition, BlockDigest>,
    /// Blocks of partitions whose difference is told already, event by event.
    explained: Vec<(Partition, i64)>,
    whole: Sha256,
    report: Report,
}

/// Reads the whole log in short transactions and compares. The workers may go on meanwhile. What was archived counts as not
/// kept.
///
/// # Errors
/// When the database can't be read. What is wrong with the log is no error, but in the report.
pub async fn verify(
    pool: impl Into<Pool>,
    model: Option<Model>,
    progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let pool = &pool.into();
    prove(pool, None, model, progress).await
}

/// The same with what was archived, if the store reads archives.
///
/// # Errors
/// When the database or an archive can't be read. An archive that does not have what it had is no error, but in the report.
pub async fn verify_with_archives(
    (pool, store): (impl Into<Pool>, &EventStore),
    model: Option<Model>,
    progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let pool = &pool.into();
    prove(pool, Some(store).filter(|store| store.reads_archives()), model, progress).await
}

async fn prove(
    pool: &Pool,
    archives: Option<&EventStore>,
    model: Option<Model>,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let ledger = Ledger::read(pool, model, archives.is_some()).await?;
    let head = ledger.head;
    let mut verifier = Verifier::new(ledger);
    let mut from = Position::START;
    while from < head {
        let block = block_of(Position(from.0 + 1));
        let upto = Position(head.0.min(from.0 + log::READ_POSITIONS).min(positions_of(block).1.0));
        let mut stretch = log::read(pool, from, upto).await?;
        if let Some(store) = archives
            && (stretch.len() as i64) < upto.0 - from.0
        {
            match archived::read(store, from, upto).await? {
                Archived::Events(events) => verifier.report.archived += add(&mut stretch, events),
                Archived::Broken(why) => verifier.broken(from, upto, why),
            }
        }
        verifier.take(from, upto, &stretch);
        if upto == positions_of(block).1 {
            let records = ledger::Records::read(pool, block, model).await?;
            verifier.end_block(block, &records);
        }
        from = upto;
        progress(Progress { position: from, head, events: verifier.report.events });
    }
    let now = ledger::head(pool).await?;
    if now < head {
        return Err(Error::Cut { before: head, now });
    }
    Ok(verifier.finish())
}

/// Puts events where the log has none. Answers how many there were.
fn add(stretch: &mut Vec<log::Stored>, events: Vec<log::Stored>) -> i64 {
    let before = stretch.len();
    stretch.extend(events);
    stretch.sort_by_key(|event| event.position);
    stretch.dedup_by_key(|event| event.position);
    (stretch.len() - before) as i64
}

impl Verifier {
    /// What the log doesn't have of a stretch is not to be had.
    fn broken(&mut self, after: Position, upto: Position, why: String) {
        let (first, last) = (Position(after.0 + 1), upto);
        self.ledger.drop_range(first.0, last.0);
        self.find(Finding::ArchiveBroken { first, last, why });
    }

    fn new(ledger: Ledger) -> Self {
        let report = Report {
            position: ledger.position,
            head: ledger.head,
            events: 0,
            digest: String::new(),
            findings: vec![],
            findings_count: 0,
            archived: 0,
            not_kept: 0,
            unproven_to: Position::START,
            parked_keys: ledger.parked_keys,
            parked_events: ledger.parked_events,
        };
        let mut verifier = Self {
            running: Partition::all().map(|partition| (partition, BlockDigest::of(0))).collect(),
            met: BTreeMap::new(),
            at_checkpoint: BTreeMap::new(),
            explained: vec![],
            whole: Sha256::new(),
            report,
            ledger,
        };
        for (partition, checkpoint) in verifier.ledger.checkpoints.clone() {
            let reached = checkpoint.reached;
            if reached > verifier.ledger.head {
                let (partition, head) = (i16::from(partition.number()), verifier.ledger.head);
                verifier.find(Finding::AheadOfLog { partition, reached, head });
            }
            verifier.look(partition, Position::START, Position(1));
        }
        verifier
    }

    fn find(&mut self, finding: Finding) {
        self.report.findings_count += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }

    /// The events of a stretch, in the order of positions.
    fn take(&mut self, after: Position, upto: Position, stretch: &[log::Stored]) {
        let mut next = after.0 + 1;
        for event in stretch {
            self.gap(next, event.position.0 - 1);
            next = event.position.0 + 1;
            self.report.events += 1;
            if !event.intact {
                self.explained.push((event.partition, block_of(event.position)));
                let partition = i16::from(event.partition.number());
                let event_type = event.event_type.clone();
                self.find(Finding::PayloadAltered { position: event.position, partition, event_type });
            }
            self.passed_over(event);
            if let Some(running) = self.running.get_mut(&event.partition) {
                running.take(event.position, event.computed_hash);
            }
            self.look(event.partition, event.position, Position(event.position.0 + 1));
        }
        self.gap(next, upto.0);
    }

    /// Positions without events.
    fn gap(&mut self, first: i64, last: i64) {
        if first > last {
            return;
        }
        let missing: Vec<(i64, i64)> = self.ledger.expected_within(first, last);
        let expected: i64 = missing.iter().map(|(first, last)| last - first + 1).sum();
        self.report.not_kept += last - first + 1 - expected;
        for (first, last) in missing {
            // Whose they were can't be known: every partition's digest of the block may differ.
            let block = block_of(Position(first));
            self.explained.extend(Partition::all().map(|partition| (partition, block)));
            self.find(Finding::EventsMissing { first: Position(first), last: Position(last) });
        }
    }

    fn passed_over(&mut self, event: &log::Stored) {
        let Some(Checkpoint { position, reached, .. }) = self.ledger.checkpoints.get(&event.partition).copied() else {
            return;
        };
        if event.position > position && event.position <= reached {
            let partition = i16::from(event.partition.number());
            self.find(Finding::PassedOver { partition, checkpoint: position, reached, position: event.position });
        }
    }

    /// Whether the digest of a partition, after its event at `position` and before `next`, is that of its checkpoint.
    fn look(&mut self, partition: Partition, position: Position, next: Position) {
        let (Some(checkpoint), Some(running)) = (self.ledger.checkpoints.get(&partition), self.running.get(&partition))
        else {
            return;
        };
        if checkpoint.position >= Position(next.0 - 1) {
            self.at_checkpoint.insert(partition, *running);
        }
        if checkpoint.digest == Some(*running) {
            self.met.insert(partition, position);
        }
    }

    fn end_block(&mut self, block: i64, records: &ledger::Records) {
        let (first, last) = positions_of(block);
        let kept = self.ledger.is_kept(first.0, last.0);
        for (partition, running) in self.running.clone() {
            self.whole.update(running.digest);
            let told = self.explained.contains(&(partition, block));
            let number = i16::from(partition.number());
            let found = running.hex();
            let sealed = records.sealed.get(&partition);
            if let Some(sealed) = sealed
                && kept
                && !told
                && *sealed != running
            {
                let sealed = sealed.hex();
                let found = found.clone();
                self.find(Finding::NotAsSealed { partition: number, block, first, last, sealed, found });
            }
            for (build, consumed) in records.consumed.iter().filter(|((_, of), _)| *of == partition) {
                // Where not all of it is kept, what was sealed stands for it. What was altered is told, if the record is
                // of what it was before.
                let expected = if kept && !told { Some(&running) } else { sealed };
                if let Some(expected) = expected
                    && expected != consumed
                {
                    let (build, consumed, found) = (build.0, consumed.hex(), expected.hex());
                    self.find(Finding::NotAsConsumed { build, partition: number, block, first, last, consumed, found });
                }
            }
            let reached = self.ledger.checkpoints.get(&partition).map_or(Position::START, |of| of.reached);
            if reached >= last && !records.consumed.contains_key(&(0, partition)) {
                if records.first_proven.is_none_or(|proven| block < proven) && !self.ledger.proven_from_the_start {
                    self.report.unproven_to = self.report.unproven_to.max(last);
                } else {
                    self.find(Finding::NeverConsumed { partition: number, block, first, last });
                }
            }
            self.running.insert(partition, BlockDigest::of(block + 1));
            self.look(partition, last, Position(last.0 + 1));
        }
        self.explained.retain(|(_, of)| *of > block);
    }

    fn finish(mut self) -> Report {
        for (partition, checkpoint) in self.ledger.checkpoints.clone() {
            let Some(stored) = checkpoint.digest else {
                let (_, last) = positions_of(checkpoint.block);
                self.report.unproven_to = self.report.unproven_to.max(Position(last.0.min(checkpoint.reached.0)));
                continue;
            };
            if checkpoint.reached > self.ledger.head
                || !self.ledger.is_kept(positions_of(stored.block).0.0, checkpoint.position.0)
            {
                continue;
            }
            let sound = match self.at_checkpoint.get(&partition) {
                // What was consumed of the blocks before is written down, and of this one there is nothing to consume.
                Some(found) if found.block > stored.block => found.events == 0,
                Some(found) if found.block == stored.block => *found == stored,
                // Begun with a batch that went beyond the block of its events.
                Some(_) | None => stored == BlockDigest::of(stored.block),
            };
            let told = self.explained.contains(&(partition, stored.block));
            if !sound && !told {
                let number = i16::from(partition.number());
                let consumed_to = self.met.get(&partition).copied();
                let checkpoint = checkpoint.position;
                self.find(Finding::WrongCheckpoint { partition: number, checkpoint, consumed_to });
            }
        }
        for running in self.running.values().filter(|running| running.events > 0) {
            self.whole.update(running.digest);
        }
        self.report.digest = hex(&self.whole.finalize());
        self.report
    }
}
