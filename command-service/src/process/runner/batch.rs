//! What follows from a stretch of the log, before any of it is done.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use uuid::Uuid;

use crate::process::manager::{Action, Ids, Manager, Origin, Task};

/// A task that is to be done now.
#[derive(Debug, Clone)]
pub(in crate::process) struct Issue<T> {
    pub partition: Partition,
    /// Of the event that it goes back to.
    pub position: Position,
    pub id: Uuid,
    pub origin: Origin,
    pub task: T,
}

/// A timer as it is to be stored.
#[derive(Debug, Clone)]
pub(in crate::process) struct Waiting<T> {
    pub due_at: DateTime<Utc>,
    pub position: Position,
    pub origin: Origin,
    pub task: T,
}

/// What is to be committed: the last word on each timer, and which partitions got their checkpoint.
#[derive(Debug)]
pub(in crate::process) struct Changes<T> {
    /// None: it is taken back.
    pub timers: BTreeMap<(Partition, String), Option<Waiting<T>>>,
    pub touched: BTreeSet<Partition>,
}

impl<T: Task> Changes<T> {
    pub fn none() -> Self {
        Self { timers: BTreeMap::new(), touched: BTreeSet::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.touched.is_empty()
    }

    pub fn set(&mut self, partition: Partition, waiting: Waiting<T>) {
        self.timers.insert((partition, waiting.task.timer()), Some(waiting));
    }

    pub fn cancel(&mut self, partition: Partition, name: String) {
        self.timers.insert((partition, name), None);
    }
}

/// What follows from these events, in their order. A timer that is set and taken back within them is only taken back.
pub(super) fn derive<'a, M: Manager>(
    manager: &M,
    events: impl IntoIterator<Item = &'a RecordedEvent>,
) -> (Vec<Issue<M::Task>>, Changes<M::Task>) {
    let ids = Ids::of::<M>();
    let (mut issues, mut changes) = (vec![], Changes::none());
    for event in events {
        let RecordedEvent { partition, position, .. } = *event;
        for (step, action) in manager.react(event).into_iter().enumerate() {
            changes.touched.insert(partition);
            match action {
                Action::Now(task) => {
                    let id = ids.of_event(event, step);
                    issues.push(Issue { partition, position, id, origin: Origin::from(event), task });
                }
                Action::At(due_at, task) => {
                    changes.set(partition, Waiting { due_at, position, origin: Origin::from(event), task });
                }
                Action::Cancel(name) => changes.cancel(partition, name),
            }
        }
    }
    (issues, changes)
}
