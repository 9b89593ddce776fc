//! The newest events, without a gap. Positions are dense, so it is known exactly what is missing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schema::log::{Generation, Position, RecordedEvent};

use crate::StoreOptions;
use crate::partitions::PartitionSet;

/// Events that came ahead of what is before them; further ones are dropped, and read from Postgres when their turn comes.
const EARLY_EVENTS_MAX: usize = 8 * 1024;
/// Bytes of the same, as they were appended or received.
const EARLY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// All events of (`after`, `upto`].
#[derive(Debug)]
pub(crate) struct Stretch {
    pub after: Position,
    pub upto: Position,
    pub events: Vec<Arc<RecordedEvent>>,
    /// About, of all of them: payloads and metadata.
    pub bytes: usize,
}

/// What the ring may keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub events: usize,
    /// The newest event is kept in any case.
    pub bytes: usize,
}

impl Limits {
    pub fn of(options: &StoreOptions) -> Self {
        Self { events: options.tail_events_max, bytes: options.tail_bytes_max }
    }
}

impl Stretch {
    pub fn of_one(event: Arc<RecordedEvent>, bytes: usize) -> Self {
        let upto = event.position;
        Self { after: Position(upto.0 - 1), upto, events: vec![event], bytes }
    }
}

/// What became of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The ring goes farther now.
    Grew,
    /// It had all of it, or it waits already.
    Known,
    /// It waits for what is before it.
    Early,
    /// It can't be kept until its turn comes.
    NoRoom,
}

#[derive(Debug)]
pub(crate) struct Ring {
    /// All events of (`after`, `upto`], in order.
    events: VecDeque<Arc<RecordedEvent>>,
    /// Of each of them.
    sizes: VecDeque<usize>,
    bytes: usize,
    after: Position,
    upto: Position,
    generation: Generation,
    /// Stretches above `upto`, by the position they follow: they wait for what lies between.
    early: BTreeMap<Position, Stretch>,
    early_events: usize,
    early_bytes: usize,
    limits: Limits,
}

/// What the ring has for a follower.
#[derive(Debug)]
pub(crate) enum Glance {
    Events(Vec<Arc<RecordedEvent>>, Position, Generation),
    /// Nothing after that position yet.
    Nothing,
    /// It begins later: what lies between is in Postgres.
    Behind,
}

impl Ring {
    pub fn starting_at(head: Position, generation: Generation, limits: Limits) -> Self {
        Self {
            events: VecDeque::new(),
            sizes: VecDeque::new(),
            bytes: 0,
            after: head,
            upto: head,
            generation,
            early: BTreeMap::new(),
            early_events: 0,
            early_bytes: 0,
            limits,
        }
    }

    pub fn upto(&self) -> Position {
        self.upto
    }

    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether stretches wait for something that has not come.
    pub fn has_gap(&self) -> bool {
        !self.early.is_empty()
    }

    /// The last position that it has heard of.
    pub fn highest(&self) -> Position {
        self.early.values().map(|stretch| stretch.upto).max().map_or(self.upto, |early| early.max(self.upto))
    }

    /// Takes all events of a stretch; those it has already are passed over.
    pub fn take(&mut self, stretch: Stretch) -> Taken {
        if stretch.upto <= self.upto {
            return Taken::Known;
        }
        if stretch.after > self.upto {
            return self.keep(stretch);
        }
        self.push(stretch);
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() <= self.upto) {
            let stretch = entry.remove();
            self.early_events -= stretch.events.len();
            self.early_bytes -= stretch.bytes;
            self.push(stretch);
        }
        Taken::Grew
    }

    /// The same of what had to be read because nobody brought it; how many positions that were.
    pub fn fill(&mut self, stretch: Stretch) -> i64 {
        let (before, upto) = (self.upto, stretch.upto);
        let covers = |early: &Stretch| (upto.0.min(early.upto.0) - before.0.max(early.after.0)).max(0);
        let brought: i64 = self.early.values().map(covers).sum();
        match self.take(stretch) {
            Taken::Grew => (upto.0 - before.0 - brought).max(0),
            Taken::Known | Taken::Early | Taken::NoRoom => 0,
        }
    }

    fn keep(&mut self, stretch: Stretch) -> Taken {
        let longer = |present: &Stretch| present.upto >= stretch.upto;
        if self.early.get(&stretch.after).is_some_and(longer) {
            return Taken::Known;
        }
        let (events, bytes) = (self.early_events + stretch.events.len(), self.early_bytes + stretch.bytes);
        if events > EARLY_EVENTS_MAX || bytes > EARLY_BYTES_MAX {
            return Taken::NoRoom;
        }
        (self.early_events, self.early_bytes) = (events, bytes);
        if let Some(shorter) = self.early.insert(stretch.after, stretch) {
            self.early_events -= shorter.events.len();
            self.early_bytes -= shorter.bytes;
        }
        Taken::Early
    }

    fn push(&mut self, stretch: Stretch) {
        let known = self.upto;
        // Of a stretch is known how large it is, and not which of its events are.
        let each = stretch.bytes.div_ceil(stretch.events.len().max(1));
        for event in stretch.events.into_iter().filter(|event| event.position > known) {
            self.events.push_back(event);
            self.sizes.push_back(each);
            self.bytes += each;
        }
        self.upto = self.upto.max(stretch.upto);
        while self.events.len() > self.limits.events || (self.bytes > self.limits.bytes && self.events.len() > 1) {
            let (Some(oldest), Some(size)) = (self.events.pop_front(), self.sizes.pop_front()) else { return };
            self.after = oldest.position;
            self.bytes -= size;
        }
    }

    /// Of what came early, lets go of what lies above the head of the log; how many events that were.
    pub fn forget_above(&mut self, head: Position) -> usize {
        let before = self.early_events;
        let (events, bytes) = (&mut self.early_events, &mut self.early_bytes);
        self.early.retain(|_, stretch| {
            let keeps = stretch.upto <= head;
            if !keeps {
                *events -= stretch.events.len();
                *bytes -= stretch.bytes;
            }
            keeps
        });
        before - self.early_events
    }

    /// At most `limit` events of some partitions after `from`.
    pub fn glance(&self, from: Position, partitions: PartitionSet, limit: usize) -> Glance {
        if from < self.after {
            return Glance::Behind;
        }
        if from >= self.upto {
            return Glance::Nothing;
        }
        let start = self.events.partition_point(|event| event.position <= from);
        let mut events = Vec::new();
        for event in self.events.range(start..) {
            if partitions.contains(event.partition) {
                events.push(Arc::clone(event));
                if events.len() == limit {
                    return Glance::Events(events, event.position, self.generation);
                }
            }
        }
        Glance::Events(events, self.upto, self.generation)
    }
}

#[cfg(test)]
mod tests;
