//! How far the log is in Kafka, as Postgres has it: written under the epoch of the relay's lease.

use schema::log::{Generation, Position};
use schema::topics::LogTopic;
use sqlx::Row;

use super::lasts::Lasts;
use crate::EventStore;
use crate::leases::{self, Lease};

/// Whose checkpoint it is.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub cluster: String,
    pub prefix: String,
}

/// Everything up to `position` is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub position: Position,
    /// Of the event there.
    pub generation: Generation,
    pub lasts: Lasts,
}

impl Checkpoint {
    pub const START: Self = Self { position: Position::START, generation: Generation::FIRST, lasts: Lasts::NONE };

    pub async fn read(store: &EventStore, key: &Key) -> Result<Self, sqlx::Error> {
        let statement = sqlx::query(include_str!("checkpoint/read.sql")).bind(&key.cluster).bind(&key.prefix);
        let Some(row) = store.database().fetch_optional(statement).await? else { return Ok(Self::START) };
        let (events, station_commands): (Vec<i64>, Vec<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let lasts = Lasts::from_numbers(&events, &station_commands);
        let lasts = lasts.ok_or_else(|| sqlx::Error::Decode("a checkpoint of other partitions".into()))?;
        Ok(Self { position: Position(row.try_get(0)?), generation: Generation(row.try_get(1)?), lasts })
    }

    /// False: the lease is another's, and nothing was written.
    pub async fn write(&self, store: &EventStore, key: &Key, lease: &Lease) -> Result<bool, sqlx::Error> {
        let database = store.database();
        let mut transaction = database.pool.begin().await?;
        let statement = sqlx::query(include_str!("checkpoint/write.sql"))
            .bind(&key.cluster)
            .bind(&key.prefix)
            .bind(self.position.0)
            .bind(self.generation.0)
            .bind(self.lasts.numbers(LogTopic::Events))
            .bind(self.lasts.numbers(LogTopic::StationCommands))
            .bind(lease.epoch);
        database.execute_in(&mut transaction, statement).await?;
        if !leases::assert_in(&mut transaction, std::slice::from_ref(lease)).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }
}

/// How far the log was in Kafka at the last checkpoint of a prefix, at whichever brokers.
pub(super) async fn newest(store: &EventStore, prefix: &str) -> Result<Position, sqlx::Error> {
    let statement = sqlx::query("SELECT position FROM relay WHERE prefix = $1 ORDER BY written_at DESC LIMIT 1");
    let row = store.database().fetch_optional(statement.bind(prefix.to_owned())).await?;
    row.map_or(Ok(Position::START), |row| row.try_get(0).map(Position))
}
