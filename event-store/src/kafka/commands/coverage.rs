//! Up to where each partition of a topic is known without a gap, and what is to be read from the log for that.

use std::array;

use schema::log::Position;
use schema::partition::{PARTITION_COUNT, Partition};

use crate::partitions::PartitionSet;

const COUNT: usize = PARTITION_COUNT as usize;

/// A record that the consumer's rule is applied to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Event { position: Position, prev: Position },
    Watermark(Position),
}

impl Step {
    fn position(self) -> Position {
        match self {
            Self::Event { position, .. } => position,
            Self::Watermark(upto) => upto,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Partial {
    /// Everything up to here was taken, or stands in `hole`.
    last: Position,
    /// All records since the last one were seen: a watermark says that there was nothing between.
    unbroken: bool,
    next_offset: Option<i64>,
    /// (after, up to]: not brought.
    hole: Option<(Position, Position)>,
}

#[derive(Debug)]
pub(super) struct Coverage {
    partitions: [Partial; COUNT],
    heard: u64,
    taken: u64,
}

impl Coverage {
    pub fn starting_at(from: Position) -> Self {
        let partial = Partial { last: from, unbroken: false, next_offset: None, hole: None };
        Self { partitions: array::from_fn(|_| partial), heard: 0, taken: 0 }
    }

    fn of(&mut self, partition: Partition) -> &mut Partial {
        &mut self.partitions[usize::from(partition.number())]
    }

    /// A consumer stands at the ends: what it begins after is not known.
    pub fn begun(&mut self) {
        for partial in &mut self.partitions {
            (partial.unbroken, partial.next_offset) = (false, None);
        }
    }

    /// Before a record is looked at.
    pub fn offset(&mut self, partition: Partition, offset: i64) {
        self.heard += 1;
        let partial = self.of(partition);
        if partial.next_offset.is_some_and(|next| next != offset) {
            partial.unbroken = false;
        }
        partial.next_offset = Some(offset + 1);
    }

    /// A record that says nothing, or whose word is not taken.
    pub fn unreadable(&mut self, partition: Partition) {
        self.of(partition).unbroken = false;
    }

    /// Whether a record is dropped by the consumer's rule.
    pub fn has(&self, partition: Partition, step: Step) -> bool {
        step.position() <= self.partitions[usize::from(partition.number())].last
    }

    /// A record that is not dropped.
    pub fn take(&mut self, partition: Partition, step: Step) {
        self.taken += 1;
        let partial = self.of(partition);
        match step {
            Step::Event { position, prev } => {
                if prev > partial.last {
                    partial.miss(prev);
                }
                partial.last = position;
                partial.unbroken = true;
            }
            Step::Watermark(upto) => {
                if !partial.unbroken {
                    partial.miss(upto);
                    partial.unbroken = true;
                }
                partial.last = upto;
            }
        }
    }

    /// Postgres is to be asked for everything of these partitions up to here.
    pub fn owed(&mut self, head: Position, partitions: PartitionSet) {
        for partition in partitions.iter() {
            self.of(partition).miss(head);
        }
    }

    /// From after the lowest to the highest position that is missing.
    pub fn holes_span(&self) -> Option<(Position, Position)> {
        let holes = || self.partitions.iter().filter_map(|partial| partial.hole);
        Some((holes().map(|(after, _)| after).min()?, holes().map(|(_, upto)| upto).max()?))
    }

    pub fn is_missing(&self, partition: Partition, position: Position) -> bool {
        let hole = self.partitions[usize::from(partition.number())].hole;
        hole.is_some_and(|(after, upto)| after < position && position <= upto)
    }

    pub fn filled(&mut self) {
        for partial in &mut self.partitions {
            partial.hole = None;
        }
    }

    /// Everything up to here was taken or is a hole.
    pub fn reached(&self) -> Position {
        self.partitions.iter().map(|partial| partial.last).min().unwrap_or_default()
    }

    pub fn highest(&self) -> Position {
        self.partitions.iter().map(|partial| partial.last).max().unwrap_or_default()
    }

    /// Records so far, of whatever use.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Those that were not dropped.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

impl Partial {
    fn miss(&mut self, upto: Position) {
        if upto <= self.last {
            return;
        }
        let after = self.hole.map_or(self.last, |(after, _)| after);
        self.hole = Some((after, upto));
        self.last = upto;
    }
}

#[cfg(test)]
mod tests;
