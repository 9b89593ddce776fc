//! What a process manager is: a pure reaction to events, and tasks that look at the present state before they act.

use std::fmt::Debug;

use application::settle::Cause;
use chrono::{DateTime, Utc};
use domain::id::TenantId;
use schema::log::{Position, RecordedEvent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) trait Manager: Send + Sync + 'static {
    /// Of its leases, checkpoints, timers and ids: fixed for ever.
    const NAME: &'static str;

    type Task: Task;

    /// What follows from an event, and from it alone. Most events mean nothing to a manager, so this says so cheaply.
    fn react(&self, event: &RecordedEvent) -> Vec<Action<Self::Task>>;

    /// Does what is to be done as things are now. Done again, under the same cause or another, it changes nothing.
    fn perform(
        &self,
        task: &Self::Task,
        cause: &Cause,
    ) -> impl Future<Output = Result<Outcome, application::Error>> + Send;
}

/// Something to be done, now or later. Stored with timers, so that its form is kept or read in both.
pub(super) trait Task: Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the timer under which it waits.
    fn timer(&self) -> String;

    /// To look again at an event that could not be understood: a later version may by then.
    fn look_again(position: Position) -> Self;

    /// At which event it is to look again, if it is that.
    fn looks_again_at(&self) -> Option<Position>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action<T> {
    Now(T),
    /// Sets the task's timer, in place of what waited under its name.
    At(DateTime<Utc>, T),
    /// Takes a timer back.
    Cancel(String),
}

/// What came of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Settled,
    /// It is to be looked at again.
    Again(DateTime<Utc>),
}

/// What a task has from the event that it goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub tenant_id: TenantId,
    pub correlation_id: Option<Uuid>,
    pub trace_id: Option<String>,
}

impl From<&RecordedEvent> for Origin {
    fn from(event: &RecordedEvent) -> Self {
        let envelope = &event.envelope;
        Self {
            tenant_id: envelope.tenant_id,
            correlation_id: envelope.correlation_id,
            trace_id: envelope.trace_id.clone(),
        }
    }
}

/// The ids under which a manager acts: the same whenever it does the same thing again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids(Uuid);

impl Ids {
    pub fn of<M: Manager>() -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("coulomb process manager {}", M::NAME).as_bytes()))
    }

    /// Of the `step`th thing that follows from an event.
    pub fn of_event(self, event: &RecordedEvent, step: usize) -> Uuid {
        self.named(&format!("event {}:{}:{step}", event.generation.0, event.position))
    }

    pub fn of_timer(self, name: &str, due_at: DateTime<Utc>) -> Uuid {
        self.named(&format!("timer {name}:{}", due_at.timestamp_micros()))
    }

    fn named(self, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}
