//! Where a person's values were written to in the clear: no key can take that back.

use chrono::{DateTime, Utc};
use domain::Event;
use domain::disclosure::{Disclosed, DisclosureEvent};
use domain::envelope::Actor;
use domain::event::AggregateType;
use domain::id::TokenId;
use domain::token::TokenEvent;
use schema::log::{Position, RecordedEvent, StreamId};
use uuid::Uuid;

use crate::{Application, Error};

/// Somebody was shown values of this person, or a file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportInClear {
    pub disclosed: Disclosed,
    pub by: Actor,
    pub reason: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub position: Position,
}

impl ExportInClear {
    /// As clients are told.
    pub fn told(&self) -> schema::api::person::ExportInClear {
        let Disclosed { disclosure_id, through, destination, .. } = &self.disclosed;
        schema::api::person::ExportInClear {
            disclosure_id: disclosure_id.to_string(),
            by: format!("{}:{}", self.by.kind, self.by.id),
            reason: self.reason.clone(),
            through: through.clone(),
            destination: destination.clone(),
            recorded_at: self.recorded_at.into(),
            position: self.position.0,
        }
    }
}

/// An event with a value that is sealed under the person's key.
struct Holder {
    token_id: Uuid,
    position: Position,
}

impl Application {
    /// The disclosures that had events with values of these tokens among them.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn exports_in_clear(&self, tokens: &[TokenId]) -> Result<Vec<ExportInClear>, Error> {
        let mut holders = vec![];
        for token_id in tokens {
            let stream = StreamId { aggregate: AggregateType::Token, id: token_id.0 };
            for recorded in self.store().read_stream(stream, 1).await? {
                if let Ok(Event::Token(TokenEvent::TokenRegistered(_))) = recorded.event.as_deref() {
                    holders.push(Holder { token_id: token_id.0, position: recorded.position });
                }
            }
        }
        let mut exports = vec![];
        for id in self.store().disclosures().await? {
            let stream = StreamId { aggregate: AggregateType::Disclosure, id };
            for recorded in self.store().read_stream(stream, 1).await? {
                exports.extend(export(recorded).filter(|export| holders.iter().any(|holder| holder.is_in(export))));
            }
        }
        Ok(exports)
    }
}

fn export(recorded: RecordedEvent) -> Option<ExportInClear> {
    let RecordedEvent { event, envelope, recorded_at, position, .. } = recorded;
    let Event::Disclosure(DisclosureEvent::PersonalDataDisclosed(disclosed)) = event.ok()?.as_ref().clone() else {
        return None;
    };
    let (by, reason) = (envelope.actor.clone(), envelope.reason.clone());
    Some(ExportInClear { disclosed, by, reason, recorded_at, position })
}

impl Holder {
    fn is_in(&self, export: &ExportInClear) -> bool {
        let Disclosed { after_position, upto_position, aggregates, event_types, stream, partition_key, .. } =
            &export.disclosed;
        let named = |names: &[String], name: &str| names.is_empty() || names.iter().any(|given| given == name);
        self.position.0 > *after_position
            && upto_position.is_none_or(|upto| self.position.0 <= upto)
            && named(aggregates, AggregateType::Token.as_str())
            && named(event_types, "TokenRegistered")
            && stream.is_none_or(|stream| stream == self.token_id)
            && partition_key.is_none_or(|key| key == self.token_id)
    }
}
