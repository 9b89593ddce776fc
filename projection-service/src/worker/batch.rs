//! Folding a batch: pure, and the same whether an event comes alone or among others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use read_models::{Fact, FoldError, Touch, fold, touched};
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::RowChange;

use super::rows::Slot;

/// The events of a batch up to the first one that can't be understood, and the rows that they touch.
pub(super) struct Plan<'e> {
    steps: Vec<(Fact<'e>, Vec<Touch>)>,
    poison: Option<(Position, FoldError)>,
}

/// The rows after a batch.
pub(super) struct Folded {
    /// In the order of their positions.
    pub rows: Vec<RowChange>,
    /// Of the partitions that had events.
    pub checkpoints: BTreeMap<Partition, Position>,
    pub events: usize,
    /// The first event that is not in it, and why.
    pub poison: Option<(Position, FoldError)>,
}

impl<'e> Plan<'e> {
    pub fn of(events: &'e [Arc<RecordedEvent>]) -> Self {
        let mut plan = Self { steps: Vec::with_capacity(events.len()), poison: None };
        for event in events {
            match Fact::of(event) {
                Ok(fact) => plan.steps.push((fact, touched(&fact).collect())),
                Err(error) => {
                    plan.poison = Some((event.position, error));
                    break;
                }
            }
        }
        plan
    }

    /// The rows that must be known before it is folded.
    pub fn wanted(&self) -> Vec<Slot> {
        let mut known: HashMap<Slot, bool> = HashMap::new();
        for touch in self.steps.iter().flat_map(|(_, touches)| touches) {
            known.entry((touch.model, touch.key.clone())).or_insert(!touch.begins);
        }
        known.into_iter().filter(|(_, wanted)| *wanted).map(|(slot, _)| slot).collect()
    }

    pub fn fold(mut self, present: impl Fn(&Slot) -> Option<RowChange>) -> Folded {
        match self.try_fold(&present) {
            Ok(folded) => folded,
            Err((index, error)) => {
                // Once more without it and what follows: rare, and no row was harmed.
                self.poison = Some((self.steps[index].0.recorded.position, error));
                self.steps.truncate(index);
                self.fold(present)
            }
        }
    }

    fn try_fold(&self, present: &impl Fn(&Slot) -> Option<RowChange>) -> Result<Folded, (usize, FoldError)> {
        let mut changed: HashMap<Slot, RowChange> = HashMap::new();
        let mut checkpoints = BTreeMap::new();
        for (index, (fact, touches)) in self.steps.iter().enumerate() {
            for touch in touches {
                let slot = (touch.model, touch.key.clone());
                let before = match changed.remove(&slot) {
                    None if touch.begins => None,
                    None => present(&slot),
                    row => row,
                };
                let after = fold(touch.clone(), before, fact).map_err(|error| (index, error))?;
                changed.insert(slot, after);
            }
            checkpoints.insert(fact.recorded.partition, fact.recorded.position);
        }
        let mut rows: Vec<RowChange> = changed.into_values().collect();
        rows.sort_by_key(|row| row.position);
        Ok(Folded { rows, checkpoints, events: self.steps.len(), poison: self.poison.clone() })
    }
}
