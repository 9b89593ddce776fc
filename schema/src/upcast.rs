//! What turns a stored event of an older version into the newest: cqrs-es's `EventUpcaster`s, one step each.
//!
//! Every event is of its first version today. The first change of one adds its [`Step`] to [`STEPS`], and its old golden
//! file stays. A step sees the members of the event alone (what stands under `{"<type>": …}`). What is stored is never
//! changed: a step works on a copy, so hashes and digests of payloads stay as they are.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use domain::event::AggregateType;
use serde_json::{Map, Value};

/// From one version of an event to the next.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub aggregate: AggregateType,
    pub event_type: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    /// What it does, for who reads the catalogue of events: "`uid` is called `value`".
    pub says: &'static str,
    /// The members of the event, changed in place; an error says what is not as that version had it.
    pub change: fn(&mut Map<String, Value>) -> Result<(), String>,
}

/// All of them, in no particular order.
pub const STEPS: &[Step] = &[];

#[derive(Debug, thiserror::Error)]
pub enum UpcastError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("its payload is not an object under its type's name")]
    Shape,
    #[error("from version {from} to {to}: {problem}")]
    Step { from: &'static str, to: &'static str, problem: String },
}

impl Step {
    fn is_from(&self, aggregate: AggregateType, event_type: &str, version: &str) -> bool {
        (self.aggregate, self.event_type, self.from) == (aggregate, event_type, version)
    }

    fn apply(&self, payload: &mut Value) -> Result<(), UpcastError> {
        let members = payload.get_mut(self.event_type).and_then(Value::as_object_mut).ok_or(UpcastError::Shape)?;
        (self.change)(members).map_err(|problem| UpcastError::Step { from: self.from, to: self.to, problem })
    }
}

/// For whoever reads the log through cqrs-es. It knows of no errors: what can't be changed stays as it is, and is refused
/// when it is read as an event.
impl EventUpcaster for Step {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        (self.event_type, self.from) == (event_type, event_version)
    }

    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        let mut payload = event.payload.clone();
        match self.apply(&mut payload) {
            Ok(()) => SerializedEvent { payload, event_version: self.to.to_owned(), ..event },
            Err(_) => event,
        }
    }
}

/// The payload in the version `newest`, one step after the other; none where no steps lead there.
pub fn to_newest(
    steps: &[Step],
    aggregate: AggregateType,
    event_type: &str,
    event_version: &str,
    newest: &str,
    payload: &str,
) -> Option<Result<Value, UpcastError>> {
    let chain = chain(steps, aggregate, event_type, event_version, newest)?;
    let read = serde_json::from_str(payload).map_err(UpcastError::from);
    Some(read.and_then(|mut payload| {
        chain.into_iter().try_for_each(|step| step.apply(&mut payload))?;
        Ok(payload)
    }))
}

fn chain<'s>(
    steps: &'s [Step],
    aggregate: AggregateType,
    event_type: &str,
    event_version: &str,
    newest: &str,
) -> Option<Vec<&'s Step>> {
    let mut chain: Vec<&Step> = vec![];
    let mut version = event_version;
    while version != newest {
        // Steps that lead in a circle lead nowhere.
        let next = steps.iter().find(|step| step.is_from(aggregate, event_type, version))?;
        if chain.len() == steps.len() {
            return None;
        }
        chain.push(next);
        version = next.to;
    }
    Some(chain)
}
