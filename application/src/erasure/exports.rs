//! Where a person's values were written to in the clear: no key can take that back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::Event;
use domain::disclosure::{Disclosed, Disclosure, DisclosureCommand, DisclosureEvent};
use domain::envelope::Actor;
use domain::event::AggregateType;
use domain::id::{DriverId, TokenId};
use event_store::Session;
use schema::log::{Position, RecordedEvent, StreamId};
use uuid::Uuid;

use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

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
    /// Whether it was of all that is held on a driver.
    fn is_of(&self, driver_id: DriverId) -> bool {
        self.disclosed.through == PERSON_EXPORT && self.disclosed.stream == Some(driver_id.0)
    }

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

/// The type of the events that hold values of a person.
const TOKEN_REGISTERED: &str = "TokenRegistered";

/// An event with a value that is sealed under the person's key.
struct Holder {
    token_id: Uuid,
    position: Position,
}

/// Where an operator is given all that is held on a driver.
const PERSON_EXPORT: &str = "GET /api/drivers/{id}/export";

/// Records that an operator is given all that is held on a driver, in the clear. To be called before anything is opened.
///
/// # Errors
/// [`Refusal::Forbidden`] for others than operators, and in a replay.
///
/// [`Refusal::Forbidden`]: domain::refusal::Refusal::Forbidden
pub async fn disclose_person(app: &Application, context: &CommandContext, driver_id: DriverId) -> Result<(), Error> {
    context.only_operators()?;
    app.not_a_replay()?;
    let disclosure_id = Uuid::now_v7();
    let disclosed = Disclosed {
        disclosure_id,
        through: PERSON_EXPORT.to_owned(),
        after_position: 0,
        upto_position: Some(app.store().head().await?.0.0.max(1)),
        aggregates: vec![],
        event_types: vec![],
        stream: Some(driver_id.0),
        partition_key: None,
        destination: None,
    };
    let envelope = context.envelope(context.command_id());
    app.work(&envelope, Arc::new(Disclose { disclosure_id, disclosed })).await.map(|_| ())
}

struct Disclose {
    disclosure_id: Uuid,
    disclosed: Disclosed,
}

impl Work for Disclose {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let (id, command) = (self.disclosure_id, DisclosureCommand::Disclose(self.disclosed.clone()));
        decide::<Disclosure>(session, id, id, command).await?;
        Ok(())
    }
}

impl Application {
    /// The disclosures that had values of a driver among them: of these tokens, or all that is held on them.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn exports_in_clear(&self, driver_id: DriverId, tokens: &[TokenId]) -> Result<Vec<ExportInClear>, Error> {
        let mut holders = vec![];
        for token_id in tokens {
            let stream = StreamId { aggregate: AggregateType::Token, id: token_id.0 };
            for recorded in self.store().read_stream(stream, 1).await? {
                // Whether or not this program understands it: another one may have opened it.
                if recorded.event_type == TOKEN_REGISTERED {
                    holders.push(Holder { token_id: token_id.0, position: recorded.position });
                }
            }
        }
        let mut exports = vec![];
        for id in self.store().disclosures().await? {
            let stream = StreamId { aggregate: AggregateType::Disclosure, id };
            for recorded in self.store().read_stream(stream, 1).await? {
                let names = |export: &ExportInClear| {
                    export.is_of(driver_id) || holders.iter().any(|holder| holder.is_in(export))
                };
                exports.extend(export(recorded).filter(names));
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
            && named(event_types, TOKEN_REGISTERED)
            && stream.is_none_or(|stream| stream == self.token_id)
            && partition_key.is_none_or(|key| key == self.token_id)
    }
}
