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
    /// Everything up to here was taken, or stands in `hole`; a watermark may have said so.
    last: Position,
    /// The same by events or the log alone: what `prev` is held against, so that a watermark that was wrong shows.
    sure: Position,
    /// Where the next record stands, unless Kafka leaves something out. None: the consumer has not met one yet.
    next_offset: Option<i64>,
    /// Something may have been before the last record that was never seen.
    doubtful: bool,
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
        let partial = Partial { last: from, sure: from, next_offset: None, doubtful: false, hole: None };
        Self { partitions: array::from_fn(|_| partial), heard: 0, taken: 0 }
    }

    fn of(&mut self, partition: Partition) -> &mut Partial {
        &mut self.partitions[usize::from(partition.number())]
    }

    /// A consumer goes to the ends, wherever they are by the time it gets there.
    pub fn begun(&mut self) {
        for partial in &mut self.partitions {
            partial.next_offset = None;
        }
    }

    /// Before a record is looked at. One that doesn't follow on the one before it puts its partition in doubt.
    pub fn offset(&mut self, partition: Partition, offset: i64) {
        self.heard += 1;
        let partial = self.of(partition);
        partial.doubtful |= partial.next_offset != Some(offset);
        partial.next_offset = Some(offset + 1);
    }

    /// A record that says nothing, or whose word is not taken.
    pub fn unreadable(&mut self, partition: Partition) {
        self.of(partition).doubtful = true;
    }

    /// Partitions in doubt. All that may have been missed was in the log before what was seen: it is up to a head that is asked
    /// for now.
    pub fn doubts(&self) -> PartitionSet {
        Partition::all().filter(|partition| self.partitions[usize::from(partition.number())].doubtful).collect()
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
                partial.miss(prev);
                partial.last = position;
                partial.sure = position;
            }
            // It stands for what was seen.
            Step::Watermark(upto) if !partial.doubtful => partial.last = upto,
            Step::Watermark(_) => {}
        }
    }

    /// Postgres is to be asked for everything of these partitions up to the head.
    pub fn owed(&mut self, head: Position, partitions: PartitionSet) {
        for partition in partitions.iter() {
            let partial = self.of(partition);
            partial.miss(head);
            partial.doubtful = false;
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
        if upto <= self.sure {
            return;
        }
        let after = self.hole.map_or(self.sure, |(after, _)| after);
        self.hole = Some((after, upto));
        self.sure = upto;
        self.last = self.last.max(upto);
    }
}

#[cfg(test)]
mod tests;
