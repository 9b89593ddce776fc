//! The reference of a log with events that can't be applied: one event after the other, keys parked on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Event;
use domain::read_model::ReadModelEvent;
use schema::log::{Position, RecordedEvent};
use schema::view::{Model, RowChange};
use uuid::Uuid;

use crate::{Fact, Folds, Rows, may_touch};

/// A key that stands still in one read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey {
    pub position: Position,
    /// The events that wait, the first of them at `position`.
    pub waiting: Vec<Position>,
}

/// Every read model, by the newest folds.
#[derive(Debug, Default)]
pub struct FoldedLog {
    pub rows: Rows,
    pub parked: BTreeMap<(Model, Uuid), ParkedKey>,
}

/// Folds a whole log, as slowly and plainly as can be. Events are found by their positions: the log begins at 1.
pub fn fold_log(folds: &Folds, log: &[Arc<RecordedEvent>]) -> FoldedLog {
    let mut folded = FoldedLog::default();
    for event in log {
        folded.take(folds, log, event);
    }
    folded
}

impl FoldedLog {
    fn take(&mut self, folds: &Folds, log: &[Arc<RecordedEvent>], event: &RecordedEvent) {
        if let Ok(Event::ReadModel(operation)) = event.event.as_deref() {
            return match operation {
                ReadModelEvent::ParkedKeyReleased { model, partition_key } => {
                    self.release(folds, log, event, model, *partition_key);
                }
                ReadModelEvent::ParkedEventSkipped { model, partition_key, position } => {
                    self.skip(folds, log, event, model, *partition_key, Position(*position));
                }
                ReadModelEvent::ReadModelSwapped { .. }
                | ReadModelEvent::ReadModelRolledBack { .. }
                | ReadModelEvent::ReadModelSwapAbandoned { .. } => {}
            };
        }
        for model in Model::ALL {
            let slot = (model, event.partition_key);
            let matters = may_touch(model, event.stream.aggregate, &event.event_type);
            match self.parked.get_mut(&slot) {
                Some(parked) if matters => parked.waiting.push(event.position),
                Some(_) => {}
                None => {
                    if self.apply(folds, model, event, event).is_err() {
                        let waiting = vec![event.position];
                        self.parked.insert(slot, ParkedKey { position: event.position, waiting });
                    }
                }
            }
        }
    }

    /// What the event makes of its row, as if it had happened at the event `at`.
    fn apply(&mut self, folds: &Folds, model: Model, event: &RecordedEvent, at: &RecordedEvent) -> Result<(), ()> {
        let matters = may_touch(model, event.stream.aggregate, &event.event_type);
        let Ok(fact) = Fact::of(event) else { return if matters { Err(()) } else { Ok(()) } };
        let fold = folds.newest(model);
        let Some(touch) = fold.touch(&fact) else { return Ok(()) };
        let slot = (model, touch.key.clone());
        let row = fold.fold(touch, self.rows.get(&slot).cloned(), &fact).map_err(|_| ())?;
        self.rows.insert(slot, RowChange { position: at.position, generation: at.generation, ..row });
        Ok(())
    }

    fn release(&mut self, folds: &Folds, log: &[Arc<RecordedEvent>], at: &RecordedEvent, model: &str, key: Uuid) {
        let model = Model::ALL.into_iter().find(|known| known.name() == model).expect("a read model");
        let Some(parked) = self.parked.remove(&(model, key)) else { return };
        for (nth, position) in parked.waiting.iter().enumerate() {
            let event = &log[usize::try_from(position.0 - 1).expect("a position")];
            if self.apply(folds, model, event, at).is_err() {
                let waiting = parked.waiting[nth..].to_vec();
                self.parked.insert((model, key), ParkedKey { position: *position, waiting });
                return;
            }
        }
    }

    fn skip(
        &mut self,
        folds: &Folds,
        log: &[Arc<RecordedEvent>],
        at: &RecordedEvent,
        model: &str,
        key: Uuid,
        position: Position,
    ) {
        let known = Model::ALL.into_iter().find(|known| known.name() == model).expect("a read model");
        let Some(parked) = self.parked.get_mut(&(known, key)) else { return };
        parked.waiting.retain(|waiting| *waiting != position);
        if parked.position == position {
            self.release(folds, log, at, model, key);
        }
    }
}
