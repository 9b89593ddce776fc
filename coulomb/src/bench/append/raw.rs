//! The baseline of a bare INSERT: the same columns and indexes in a plain table, one statement a batch, no check at all.

use chrono::Utc;
use schema::partition::partition;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Executor};
use uuid::Uuid;

use super::load::{Batch, StreamSet};

pub async fn prepare(pool: &PgPool) -> sqlx::Result<()> {
    pool.execute("CREATE TABLE raw_events (LIKE events)").await?;
    pool.execute("CREATE UNIQUE INDEX ON raw_events (position)").await?;
    pool.execute("CREATE INDEX ON raw_events (aggregate_id, sequence)").await?;
    pool.execute("CREATE SEQUENCE raw_events_position INCREMENT 1000000000000").await.map(|_| ())
}

pub struct Appender {
    connection: PgConnection,
    position: i64,
    streams: StreamSet,
}

impl Appender {
    /// With positions of its own, which nobody checks.
    pub async fn new(database: PgConnectOptions, streams: StreamSet) -> anyhow::Result<Self> {
        let mut connection = database.connect().await?;
        let position = sqlx::query_scalar("SELECT nextval('raw_events_position')").fetch_one(&mut connection).await?;
        Ok(Self { connection, position, streams })
    }
}

impl Batch for Appender {
    async fn append(&mut self, count: usize) -> anyhow::Result<()> {
        let events: Vec<_> = (0..count).map(|_| self.streams.next()).collect();
        let positions: Vec<i64> = (self.position..).take(count).collect();
        self.position += count as i64;
        let sequences: Vec<i64> = events.iter().map(|(_, version, _)| version + 1).collect();
        let ids: Vec<Uuid> = events.iter().map(|(_, _, event)| event.event_id).collect();
        let keys: Vec<Uuid> = events.iter().map(|(_, _, event)| event.partition_key).collect();
        let retentions: Vec<i16> = events.iter().map(|(_, _, event)| event.retention.code()).collect();
        let partitions: Vec<i16> =
            events.iter().map(|(_, _, event)| i16::from(partition(event.partition_key).number())).collect();
        let aggregates: Vec<&str> = events.iter().map(|(stream, _, _)| stream.aggregate.as_str()).collect();
        let streams: Vec<String> = events.iter().map(|(stream, _, _)| stream.id.to_string()).collect();
        let types: Vec<&str> = events.iter().map(|(_, _, event)| event.event_type).collect();
        let versions: Vec<&str> = events.iter().map(|(_, _, event)| event.event_version).collect();
        let payloads: Vec<&str> = events.iter().map(|(_, _, event)| event.payload.as_str()).collect();
        let metadata: Vec<&str> = events.iter().map(|(_, _, event)| event.metadata.as_str()).collect();
        let hashes: Vec<Uuid> = events.iter().map(|(_, _, event)| event.payload_hash).collect();
        let statement = sqlx::query(include_str!("raw.sql")).bind(positions).bind(sequences).bind(Utc::now());
        let statement = statement.bind(ids).bind(keys).bind(retentions).bind(partitions).bind(aggregates).bind(streams);
        let statement = statement.bind(types).bind(versions).bind(payloads).bind(metadata).bind(hashes);
        statement.execute(&mut self.connection).await?;
        Ok(())
    }
}
