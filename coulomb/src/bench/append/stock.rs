//! The baseline of cqrs-es's own repository, in its own table.

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use domain::token::Token;
use postgres_es::PostgresEventRepository;
use sqlx::Executor;
use sqlx::postgres::PgPool;

use super::load::{Single, StreamSet};

/// As postgres-es' `db/init.sql` has it.
pub async fn prepare(pool: &PgPool) -> sqlx::Result<()> {
    let table = "CREATE TABLE stock_events (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
    pool.execute(table).await.map(|_| ())
}

pub struct Writer {
    repository: PostgresEventRepository,
    streams: StreamSet,
}

impl Writer {
    pub fn new(pool: PgPool, streams: StreamSet) -> Self {
        Self { repository: PostgresEventRepository::new(pool).with_tables("stock_events", "stock_snapshots"), streams }
    }
}

impl Single for Writer {
    async fn append(&mut self) -> anyhow::Result<()> {
        let (stream, version, event) = self.streams.next();
        let event = SerializedEvent {
            aggregate_id: stream.id.to_string(),
            sequence: usize::try_from(version + 1)?,
            aggregate_type: stream.aggregate.as_str().to_owned(),
            event_type: event.event_type.to_owned(),
            event_version: event.event_version.to_owned(),
            payload: serde_json::from_str(&event.payload)?,
            metadata: serde_json::from_str(&event.metadata)?,
        };
        Ok(self.repository.persist::<Token>(&[event], None).await?)
    }
}
