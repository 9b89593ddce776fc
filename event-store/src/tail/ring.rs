//! The newest events, without a gap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schema::log::{Generation, Position, RecordedEvent};

use crate::partitions::PartitionSet;

/// Flushes that came ahead of what is before them; more than can be under way.
const EARLY_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Ring {
    /// All events of (`after`, `upto`], in order.
    events: VecDeque<Arc<RecordedEvent>>,
    after: Position,
    upto: Position,
    generation: Generation,
    /// Stretches above `upto`, by the position they follow: they wait for what lies between.
    early: BTreeMap<Position, (Position, Vec<Arc<RecordedEvent>>)>,
    events_max: usize,
}

/// What the ring has for a follower.
#[derive(Debug)]
pub(super) enum Glance {
    Events(Vec<Arc<RecordedEvent>>, Position, Generation),
    /// Nothing after that position yet.
    Nothing,
    /// It begins later: what lies between is in Postgres.
    Behind,
}

impl Ring {
    pub fn starting_at(head: Position, generation: Generation, events_max: usize) -> Self {
        Self { events: VecDeque::new(), after: head, upto: head, generation, early: BTreeMap::new(), events_max }
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

    /// Takes all events of (`after`, `upto`]; those it has already are passed over. Whether it grew.
    pub fn take(&mut self, after: Position, upto: Position, events: Vec<Arc<RecordedEvent>>) -> bool {
        if after > self.upto {
            if self.early.len() < EARLY_MAX {
                self.early.insert(after, (upto, events));
            }
            return false;
        }
        let before = self.upto;
        self.push(upto, events);
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() <= self.upto) {
            let (upto, events) = entry.remove();
            self.push(upto, events);
        }
        self.upto > before
    }

    fn push(&mut self, upto: Position, events: Vec<Arc<RecordedEvent>>) {
        let known = self.upto;
        self.events.extend(events.into_iter().filter(|event| event.position > known));
        self.upto = self.upto.max(upto);
        while self.events.len() > self.events_max {
            if let Some(oldest) = self.events.pop_front() {
                self.after = oldest.position;
            }
        }
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
