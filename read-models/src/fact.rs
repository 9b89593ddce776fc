use chrono::{DateTime, Utc};
use domain::Event;
use domain::id::TenantId;
use schema::log::RecordedEvent;
use schema::view::Model;

use crate::FoldError;

/// A recorded event that was understood.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    pub recorded: &'a RecordedEvent,
    pub event: &'a Event,
}

impl<'a> Fact<'a> {
    /// # Errors
    /// [`FoldError::Undecodable`].
    pub fn of(recorded: &'a RecordedEvent) -> Result<Self, FoldError> {
        match &recorded.event {
            Ok(event) => Ok(Self { recorded, event }),
            Err(source) => Err(FoldError::Undecodable { position: recorded.position, source: source.clone() }),
        }
    }

    /// The id of the event's stream, as a key.
    pub(crate) fn stream_key(&self) -> String {
        self.recorded.stream.id.to_string()
    }

    pub(crate) fn tenant_id(&self) -> TenantId {
        self.recorded.envelope.tenant_id
    }

    pub(crate) fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded.recorded_at
    }

    /// For an event that comes before the one that makes its row.
    pub(crate) fn no_row(&self, model: Model) -> FoldError {
        FoldError::NoRow { position: self.recorded.position, model, key: self.stream_key() }
    }
}
