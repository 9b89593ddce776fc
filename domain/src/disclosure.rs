//! Personal values of the history, shown in the clear to somebody. Who and why stand in the event's envelope.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::refusal::Refusal;

/// Which part of the history was opened. An empty list: all there are. What is null narrows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// The disclosure: the id of its stream.
    pub disclosure_id: Uuid,
    /// By which command, such as `events export`.
    pub through: String,
    /// Events after this position …
    pub after_position: i64,
    /// … up to this one; null: and those that were recorded while it was followed.
    pub upto_position: Option<i64>,
    /// Of which aggregates.
    pub aggregates: Vec<String>,
    /// Of which types.
    pub event_types: Vec<String>,
    /// Of which stream, by its id.
    pub stream: Option<Uuid>,
    /// Of which partition key.
    pub partition_key: Option<Uuid>,
    /// Where the clear values were written to; null: to a terminal or a pipe.
    pub destination: Option<String>,
}

/// Personal values of the history, shown in the clear to somebody. Who and why stand in the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisclosureEvent {
    /// Sealed values are about to be opened: appended before the first one is.
    PersonalDataDisclosed(Disclosed),
}

event_names!(DisclosureEvent { PersonalDataDisclosed => "1" });

#[derive(Debug, Clone)]
pub enum DisclosureCommand {
    Disclose(Disclosed),
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosure {
    pub disclosed: Option<Disclosed>,
}

impl Decide for Disclosure {
    const AGGREGATE: AggregateType = AggregateType::Disclosure;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: DisclosureCommand) -> Result<Vec<DisclosureEvent>, Refusal> {
        let DisclosureCommand::Disclose(disclosed) = command;
        if disclosed.upto_position.is_some_and(|upto| upto <= disclosed.after_position) {
            return Err(Refusal::invalid("upto_position", "must be above after_position"));
        }
        if self.disclosed.is_some() {
            return Err(Refusal::invalid("disclosure_id", "is that of another disclosure"));
        }
        Ok(vec![DisclosureEvent::PersonalDataDisclosed(disclosed)])
    }
}

impl Disclosure {
    fn apply_event(&mut self, event: DisclosureEvent) {
        let DisclosureEvent::PersonalDataDisclosed(disclosed) = event;
        self.disclosed = Some(disclosed);
    }
}

aggregate!(Disclosure, DisclosureCommand, DisclosureEvent, Disclosure);
