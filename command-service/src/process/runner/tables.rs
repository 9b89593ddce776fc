//! The tables of checkpoints and timers (migration 0300).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use event_store::leases::{Lease, assert_in};
use pool::Pool;
use schema::log::{Generation, Position};
use schema::partition::Partition;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};

use super::Error;
use super::batch::{Changes, Waiting};
use crate::process::manager::{Origin, Task};

/// Timers that one statement writes.
const WRITE_MAX: usize = 1_000;
/// When a timer that can't be read is tried again: another version may run by then.
const PUT_OFF: TimeDelta = TimeDelta::hours(1);
/// A commit that hangs for so long is given up.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

pub(in crate::process) struct Tables {
    pool: Pool,
    manager: &'static str,
}

/// What an owner has done of the log.
pub(in crate::process) struct Commit<T> {
    /// Of every partition that is changed.
    pub leases: Vec<Lease>,
    pub changes: Changes<T>,
    pub generation: Generation,
    pub upto: Position,
}

/// A timer whose time has come.
pub(in crate::process) struct Due<T> {
    pub partition: Partition,
    pub name: String,
    pub waiting: Waiting<T>,
}

/// The column `data`.
#[derive(Serialize, Deserialize)]
struct Data<T> {
    task: T,
    origin: Origin,
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Tables {
    pub fn new(pool: Pool, manager: &'static str) -> Self {
        Self { pool, manager }
    }

    pub async fn checkpoints(&self, partitions: &[i16]) -> Result<BTreeMap<Partition, (Generation, Position)>, Error> {
        let statement = sqlx::query(include_str!("checkpoints.sql")).bind(self.manager).bind(partitions);
        let checkpoint = |row: &PgRow| {
            let (generation, position) = (Generation(row.try_get(1)?), Position(row.try_get(2)?));
            Ok((partition_of(row.try_get(0)?)?, (generation, position)))
        };
        self.fetch_all(statement).await?.iter().map(checkpoint).collect()
    }

    /// When the next timer of these partitions is due.
    pub async fn next_due(&self, partitions: &[i16]) -> Result<Option<DateTime<Utc>>, Error> {
        let statement = sqlx::query(include_str!("next_due.sql")).bind(self.manager).bind(partitions);
        let rows = self.fetch_all(statement).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// What is due, the oldest first. A timer that can't be read, such as one of a later version, is put off: it is
    /// nobody's loss that it comes late, and everybody's if it stopped the rest.
    pub async fn due<T: Task>(&self, partitions: &[i16], now: DateTime<Utc>, limit: i64) -> Result<Vec<Due<T>>, Error> {
        let statement = sqlx::query(include_str!("due.sql")).bind(self.manager).bind(partitions).bind(now).bind(limit);
        let rows = self.fetch_all(statement).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let (number, name): (i16, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str::<Data<T>>(row.try_get(4)?) {
                Ok(Data { task, origin }) => {
                    let (due_at, position) = (row.try_get(2)?, Position(row.try_get(3)?));
                    let waiting = Waiting { due_at, position, origin, task };
                    due.push(Due { partition: partition_of(number)?, name, waiting });
                }
                Err(error) => {
                    tracing::error!(manager = self.manager, name, %error, "a timer can't be read and is put off");
                    let put_off = sqlx::query(include_str!("put_off.sql")).bind(self.manager).bind(number).bind(name);
                    self.fetch_all(put_off.bind(now + PUT_OFF)).await?;
                }
            }
        }
        Ok(due)
    }

    pub async fn pending(&self, partitions: &[i16]) -> Result<i64, Error> {
        let statement = sqlx::query(include_str!("pending.sql")).bind(self.manager).bind(partitions);
        let rows = self.fetch_all(statement).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
    }

    /// Checkpoints and timers, all of it or nothing, while the leases are held. Answers when the next timer of
    /// `partitions` is due.
    pub async fn commit<T: Task>(&self, commit: Commit<T>, partitions: &[i16]) -> Result<Option<DateTime<Utc>>, Error> {
        let committed = tokio::time::timeout(COMMIT_TIMEOUT, self.commit_now(commit, partitions));
        committed.await.unwrap_or(Err(Error::Unavailable(sqlx::Error::PoolTimedOut)))
    }

    async fn commit_now<T: Task>(
        &self,
        Commit { leases, changes, generation, upto }: Commit<T>,
        partitions: &[i16],
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let mut transaction = self.pool.begin().await?;
        // First of all, since it also limits for how long this transaction may idle: the rows that it locks are those that
        // a successor will want to write.
        if !assert_in(&mut transaction, &leases).await? {
            transaction.rollback().await?;
            return Err(Error::LeaseLost);
        }
        let Changes { timers, touched } = changes;
        let (mut set, mut cancelled) = (vec![], vec![]);
        for ((partition, name), waiting) in timers {
            match waiting {
                Some(waiting) => set.push((partition, name, waiting)),
                None => cancelled.push((partition, name)),
            }
        }
        for chunk in cancelled.chunks(WRITE_MAX) {
            let (partitions, names): (Vec<i16>, Vec<&str>) =
                chunk.iter().map(|(partition, name)| (i16::from(partition.number()), name.as_str())).unzip();
            let statement = sqlx::query(include_str!("cancel.sql")).bind(self.manager).bind(partitions).bind(names);
            statement.execute(&mut *transaction).await?;
        }
        for chunk in set.chunks(WRITE_MAX) {
            let statement = self.set(chunk)?;
            statement.execute(&mut *transaction).await?;
        }
        if !touched.is_empty() {
            let statement = self.checkpoint(&leases, &touched, generation, upto);
            statement.execute(&mut *transaction).await?;
        }
        let next = sqlx::query(include_str!("next_due.sql")).bind(self.manager).bind(partitions);
        let next = next.fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(next.map(|row| row.try_get(0)).transpose()?)
    }

    fn set<T: Task>(&self, timers: &[(Partition, String, Waiting<T>)]) -> Result<Statement<'static>, Error> {
        let (mut partitions, mut names, mut due_at) = (vec![], vec![], vec![]);
        let (mut positions, mut data) = (vec![], vec![]);
        for (partition, name, waiting) in timers {
            let content = Data { task: &waiting.task, origin: waiting.origin.clone() };
            let content = serde_json::to_string(&content);
            data.push(content.map_err(|source| Error::Malformed { name: name.clone(), source })?);
            partitions.push(i16::from(partition.number()));
            names.push(name.clone());
            due_at.push(waiting.due_at);
            positions.push(waiting.position.0);
        }
        let statement = sqlx::query(include_str!("set.sql")).bind(self.manager).bind(partitions).bind(names);
        Ok(statement.bind(due_at).bind(positions).bind(data))
    }

    fn checkpoint(
        &self,
        leases: &[Lease],
        touched: &BTreeSet<Partition>,
        generation: Generation,
        upto: Position,
    ) -> Statement<'static> {
        let leases = leases.iter().filter(|lease| {
            u8::try_from(lease.partition).ok().and_then(Partition::new).is_some_and(|p| touched.contains(&p))
        });
        let (partitions, epochs): (Vec<i16>, Vec<i64>) = leases.map(|lease| (lease.partition, lease.epoch)).unzip();
        let statement = sqlx::query(include_str!("checkpoint.sql")).bind(self.manager).bind(partitions).bind(epochs);
        statement.bind(generation.0).bind(upto.0)
    }

    async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        statement.fetch_all(&self.pool).await
    }
}

fn partition_of(number: i16) -> Result<Partition, Error> {
    u8::try_from(number).ok().and_then(Partition::new).ok_or(Error::NoSuchPartition(number))
}
