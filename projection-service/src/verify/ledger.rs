//! What was written down: by the workers with their checkpoints, and block by block by them and the log's caretaker.

use std::collections::BTreeMap;

use pool::Pool;
use schema::digest::BlockDigest;
use schema::log::Position;
use schema::partition::Partition;
use schema::view::Model;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// The live builds consume under this number.
pub(super) const TOGETHER: i64 = 0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpoint {
    /// Of the last batch that had events of the partition, or where its run began.
    pub position: Position,
    /// Everything of the partition up to here is in the rows.
    pub reached: Position,
    pub block: i64,
    /// None: not known, since no digests were kept before.
    pub digest: Option<BlockDigest>,
}

/// What stood when the proof began, in one snapshot.
pub(super) struct Ledger {
    pub head: Position,
    pub position: Position,
    pub checkpoints: BTreeMap<Partition, Checkpoint>,
    /// Ranges of positions of which not all events are kept.
    dropped: Vec<(i64, i64)>,
    /// The read models were never without digests.
    pub proven_from_the_start: bool,
    pub parked_keys: i64,
    pub parked_events: i64,
}

pub(super) async fn head(pool: &Pool) -> Result<Position, sqlx::Error> {
    let head = sqlx::query_scalar("SELECT position FROM log_head").persistent(false).fetch_one(pool).await?;
    Ok(Position(head))
}

fn partition(row: &PgRow, column: usize) -> Result<Partition, sqlx::Error> {
    let number: i16 = row.try_get(column)?;
    let partition = u8::try_from(number).ok().and_then(Partition::new);
    partition.ok_or_else(|| sqlx::Error::Decode(format!("there is no partition {number}").into()))
}

fn digest(row: &PgRow, block: usize, events: usize, digest: usize) -> Result<Option<BlockDigest>, sqlx::Error> {
    let (block, events) = (row.try_get(block)?, row.try_get(events)?);
    let bytes: Option<&[u8]> = row.try_get(digest)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(|digest| BlockDigest { block, events, digest }))
}

impl Ledger {
    /// `archived`: what is in archives counts as kept.
    pub async fn read(pool: &Pool, model: Option<Model>, archived: bool) -> Result<Self, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
        let rows = sqlx::query(include_str!("checkpoints.sql")).persistent(false).fetch_all(&mut *transaction).await?;
        let mut checkpoints = BTreeMap::new();
        for row in &rows {
            let checkpoint = Checkpoint {
                position: Position(row.try_get(1)?),
                reached: Position(row.try_get(2)?),
                block: row.try_get(3)?,
                digest: digest(row, 3, 4, 5)?,
            };
            checkpoints.insert(partition(row, 0)?, checkpoint);
        }
        let row = sqlx::query(include_str!("state.sql"))
            .bind(model.map(Model::name))
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        let dropped = sqlx::query(include_str!("dropped.sql")).bind(archived).persistent(false);
        let dropped = dropped.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Self {
            head: Position(row.try_get(0)?),
            position: checkpoints.values().map(|of| of.reached).min().unwrap_or_default(),
            checkpoints,
            dropped: dropped
                .iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .collect::<Result<_, sqlx::Error>>()?,
            proven_from_the_start: row.try_get(1)?,
            parked_keys: row.try_get(2)?,
            parked_events: row.try_get(3)?,
        })
    }

    /// Not all events of these positions are to be had.
    pub fn drop_range(&mut self, first: i64, last: i64) {
        self.dropped.push((first, last));
        self.dropped.sort_unstable();
    }

    /// Of these positions, those at which there should be events.
    pub fn expected_within(&self, first: i64, last: i64) -> Vec<(i64, i64)> {
        let mut expected = vec![];
        let mut next = first;
        for (from, to) in self.dropped.iter().filter(|(from, to)| *from <= last && *to >= first) {
            if next < *from {
                expected.push((next, from - 1));
            }
            next = next.max(to + 1);
        }
        if next <= last {
            expected.push((next, last));
        }
        expected
    }

    pub fn is_kept(&self, first: i64, last: i64) -> bool {
        !self.dropped.iter().any(|(from, to)| *from <= last && *to >= first)
    }
}

/// What is written down of one block of positions.
pub(super) struct Records {
    pub sealed: BTreeMap<Partition, BlockDigest>,
    /// By build and partition.
    pub consumed: BTreeMap<(i64, Partition), BlockDigest>,
    /// The first block that the live builds have consumed with digests.
    pub first_proven: Option<i64>,
}

impl Records {
    pub async fn read(pool: &Pool, block: i64, model: Option<Model>) -> Result<Self, sqlx::Error> {
        let sealed = sqlx::query("SELECT partition, block, events, digest FROM log_digests WHERE block = $1");
        let sealed = sealed.bind(block).persistent(false).fetch_all(pool).await?;
        let consumed = sqlx::query(include_str!("consumed.sql")).bind(block).bind(model.map(Model::name));
        let consumed = consumed.persistent(false).fetch_all(pool).await?;
        let mut records = Self { sealed: BTreeMap::new(), consumed: BTreeMap::new(), first_proven: None };
        for row in &sealed {
            if let Some(digest) = digest(row, 1, 2, 3)? {
                records.sealed.insert(partition(row, 0)?, digest);
            }
        }
        for row in &consumed {
            if let Some(digest) = digest(row, 1, 2, 3)? {
                records.consumed.insert((row.try_get(4)?, partition(row, 0)?), digest);
            }
        }
        let first = "SELECT min(block) FROM views.consumed WHERE build_id = $1";
        records.first_proven = sqlx::query_scalar(first).bind(TOGETHER).persistent(false).fetch_one(pool).await?;
        Ok(records)
    }
}
