//! What somebody who waits for a rebuild wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use schema::log::Position;
use serde::Serialize;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The log is read from where the build was.
    Loading,
    /// The table is full, and gets its indexes.
    Indexing,
    /// What has happened meanwhile is read.
    CatchingUp,
    /// The workers wait, for the last few events to be folded.
    Joining,
    Joined,
}

const STAGES: [Stage; 5] = [Stage::Loading, Stage::Indexing, Stage::CatchingUp, Stage::Joining, Stage::Joined];

/// How far a rebuild is. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stage: AtomicU8,
    began_at: AtomicI64,
    at: AtomicI64,
    upto: AtomicI64,
    folded: AtomicU64,
    written: AtomicU64,
}

impl Progress {
    pub fn stage(&self) -> Stage {
        STAGES[usize::from(self.0.stage.load(Ordering::Relaxed)) % STAGES.len()]
    }

    /// Where this run began: that of a build that is resumed is not the start of the log.
    pub fn began_at(&self) -> Position {
        Position(self.0.began_at.load(Ordering::Relaxed))
    }

    /// Up to where the log was read.
    pub fn at(&self) -> Position {
        Position(self.0.at.load(Ordering::Relaxed))
    }

    /// Up to where it is to be read in this stage.
    pub fn upto(&self) -> Position {
        Position(self.0.upto.load(Ordering::Relaxed))
    }

    /// Events of this run that changed a row.
    pub fn folded(&self) -> u64 {
        self.0.folded.load(Ordering::Relaxed)
    }

    /// Rows that this run wrote, again and again those that changed again.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self, stage: Stage) {
        let number = STAGES.iter().position(|known| *known == stage).unwrap_or_default();
        self.0.stage.store(u8::try_from(number).unwrap_or_default(), Ordering::Relaxed);
    }

    pub(super) fn began(&self, at: Position) {
        self.0.began_at.store(at.0, Ordering::Relaxed);
        self.0.at.store(at.0, Ordering::Relaxed);
    }

    pub(super) fn aim(&self, upto: Position) {
        self.0.upto.store(upto.0, Ordering::Relaxed);
    }

    pub(super) fn read(&self, at: Position) {
        self.0.at.store(at.0, Ordering::Relaxed);
    }

    pub(super) fn took(&self, events: usize) {
        self.0.folded.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, rows: usize) {
        self.0.written.fetch_add(rows as u64, Ordering::Relaxed);
    }
}
