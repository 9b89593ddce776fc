//! Folding a batch: pure, and the same whether an event comes alone or among others.

use std::collections::{BTreeMap, HashMap};

use read_models::{Fact, FoldError, Touch, change};
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::RowChange;

use super::builds::Build;
use super::parked::{Parked, waits};

/// A row of one of the builds, by its place among them.
pub(crate) type Slot = (usize, String);

/// The events of a batch, and the rows that they touch in each build.
pub(crate) struct Plan<'e> {
    builds: &'e [Build],
    steps: Vec<Step<'e>>,
}

struct Step<'e> {
    event: &'e RecordedEvent,
    fact: Result<Fact<'e>, FoldError>,
    touches: Vec<(usize, Touch)>,
}

/// The builds after a batch.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// In the order of their positions.
    pub rows: Vec<(usize, RowChange)>,
    /// Of the partitions that had events.
    pub checkpoints: BTreeMap<Partition, Position>,
    pub events: usize,
    /// Keys that stand still from here on.
    pub parked: Vec<NewlyParked>,
    /// Events that wait with their keys, those that parked them among them.
    pub held: Vec<Held>,
}

/// A key that is parked, because of an event that its build can't apply.
#[derive(Debug, Clone)]
pub(crate) struct NewlyParked {
    pub held: Held,
    pub partition: Partition,
    pub event_type: String,
    pub error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub build_id: i64,
    pub partition_key: uuid::Uuid,
    pub position: Position,
}

impl<'e> Plan<'e> {
    pub fn of(events: impl IntoIterator<Item = &'e RecordedEvent>, builds: &'e [Build]) -> Self {
        let step = |event| {
            let fact = Fact::of(event);
            let touches = match &fact {
                Ok(fact) => {
                    let touches = builds.iter().enumerate();
                    touches.filter_map(|(nth, build)| Some((nth, build.fold.touch(fact)?))).collect()
                }
                Err(_) => vec![],
            };
            Step { event, fact, touches }
        };
        Self { builds, steps: events.into_iter().map(step).collect() }
    }

    /// The rows that must be known before it is folded.
    pub fn wanted(&self) -> Vec<Slot> {
        let mut known: HashMap<Slot, bool> = HashMap::new();
        for (nth, touch) in self.steps.iter().flat_map(|step| &step.touches) {
            known.entry((*nth, touch.key.clone())).or_insert(!touch.begins);
        }
        known.into_iter().filter(|(_, wanted)| *wanted).map(|(slot, _)| slot).collect()
    }

    /// Keys that are parked on the way are in `parked` then.
    pub fn fold(self, parked: &mut Parked, present: impl Fn(&Slot) -> Option<RowChange>) -> Folded {
        let mut folded = Folded { events: self.steps.len(), ..Folded::default() };
        let mut changed: HashMap<Slot, RowChange> = HashMap::new();
        for Step { event, fact, touches } in self.steps {
            let mut touches = touches.into_iter().peekable();
            for (nth, build) in self.builds.iter().enumerate() {
                let touch = touches.next_if(|(of, _)| *of == nth).map(|(_, touch)| touch);
                let key = event.partition_key;
                let held = Held { build_id: build.id, partition_key: key, position: event.position };
                if parked.contains(build, key) {
                    if touch.is_some() || waits(event, build) {
                        folded.held.push(held);
                    }
                    continue;
                }
                let failed = match (&fact, touch) {
                    (Ok(fact), Some(touch)) => apply(build, nth, touch, fact, &mut changed, &present).err(),
                    (Ok(_), None) => None,
                    (Err(error), _) => waits(event, build).then(|| error.clone()),
                };
                if let Some(error) = failed {
                    parked.park(build, key);
                    folded.held.push(held);
                    folded.parked.push(NewlyParked {
                        held,
                        partition: event.partition,
                        event_type: event.event_type.clone(),
                        error: chain(&error),
                    });
                }
            }
            folded.checkpoints.insert(event.partition, event.position);
        }
        folded.rows = changed
            .into_iter()
            .map(|((nth, _), mut row)| {
                self.builds[nth].fold.complete(&mut row.row);
                (nth, row)
            })
            .collect();
        folded.rows.sort_by_key(|(_, row)| row.position);
        folded
    }
}

fn apply(
    build: &Build,
    nth: usize,
    touch: Touch,
    fact: &Fact<'_>,
    changed: &mut HashMap<Slot, RowChange>,
    present: &impl Fn(&Slot) -> Option<RowChange>,
) -> Result<(), FoldError> {
    let slot = (nth, touch.key.clone());
    let before = match changed.get(&slot) {
        Some(row) => Some(row.clone()),
        None if touch.begins => None,
        None => present(&slot),
    };
    let row = before.filter(|row| !row.removed).map(|row| row.row);
    let row = build.fold.apply(&touch, row, fact)?;
    changed.insert(slot, change(touch.key, fact.recorded, row));
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
