//! The events that the log appends of itself, as its functions take them.

use std::sync::Arc;

use domain::envelope::{Actor, Envelope};
use domain::event::Event;
use domain::id::TenantId;
use domain::log::{Log, LogEvent};
use schema::log::NewEvent;
use schema::partition::partition;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

pub(super) struct Own(NewEvent);

impl Own {
    /// `reason`: an operator's, in their words.
    pub fn of(event: LogEvent, reason: Option<&str>) -> Self {
        let mut envelope = Envelope::new(TenantId::DEFAULT, Actor::system("the log"));
        envelope.reason = reason.map(str::to_owned);
        Self(NewEvent::new(Event::Log(event), Arc::new(envelope), Log::stream_id()))
    }

    /// Payload, its hash, envelope, stream and partition, in the order of the functions' parameters.
    pub fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        let Self(event) = self;
        statement
            .bind(&event.payload)
            .bind(event.payload_hash)
            .bind(&event.metadata)
            .bind(event.partition_key)
            .bind(i16::from(partition(event.partition_key).number()))
    }
}
