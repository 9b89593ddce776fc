//! The beginning of a tenure.

use event_store::leases::{self, Share};
use pool::{Connection, Pool};
use read_models::Folds;
use schema::log::{Generation, Position};
use schema::partition::Partition;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Error;
use super::builds::{self, Build};
use super::digests::{Digests, Running};
use super::parked::Parked;

/// A run of this worker in `views.runs`: the fence under which its batches commit. What it has read with it stays true until
/// the run ends.
pub(super) struct Claim {
    pub run: Uuid,
    pub claimed: Claimed,
}

/// What was found of the partitions that were taken.
pub(super) struct Claimed {
    /// Of the log.
    pub generation: Generation,
    pub cursors: Vec<Cursor>,
    pub digests: Digests,
    pub builds: Vec<Build>,
    pub parked: Parked,
}

/// Where a partition goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub partition: Partition,
    pub position: Position,
}

/// Ends the runs that held any of the partitions, and begins one. In one transaction with the assertion of the leases:
/// a worker that wakes from a long sleep can't take anything.
///
/// From here on no lease is asked for again: whoever takes a partition over ends this run first, and the batches of an
/// ended run are refused. One row is checked and moved in each batch, instead of a lease for each partition.
///
/// # Errors
/// [`Error::Ended`] when a lease was lost; [`Error::NoFold`] and [`Error::UnknownModel`] when this program can't keep all
/// builds up to date: then nothing was taken.
pub(super) async fn claim(pool: &Pool, folds: &Folds, share: &Share) -> Result<Claim, Error> {
    let run = Uuid::now_v7();
    let partitions: Vec<i16> = share.iter().map(|lease| lease.partition).collect();
    let mut transaction = pool.begin().await.map_err(Error::Write)?;
    let statement = sqlx::query(include_str!("sql/claim.sql")).bind(run).bind(partitions);
    let rows = statement.fetch_all(&mut *transaction).await.map_err(Error::Write)?;
    let claimed = Claimed::read(&mut transaction, &rows, folds).await?;
    if !leases::assert_in(&mut transaction, share).await.map_err(Error::Write)? {
        return Err(Error::Ended);
    }
    transaction.commit().await.map_err(Error::Write)?;
    Ok(Claim { run, claimed })
}

impl Claimed {
    /// From rows of `views.claim`, or of `views.progress` in a transaction that has ended the runs.
    pub async fn read(connection: &mut Connection<'_>, rows: &[PgRow], folds: &Folds) -> Result<Self, Error> {
        let mut claimed = Self {
            generation: Generation::FIRST,
            cursors: Vec::with_capacity(rows.len()),
            digests: Digests::default(),
            builds: builds::load(&mut *connection, folds).await?,
            parked: Parked::default(),
        };
        for row in rows {
            claimed.take(row).map_err(Error::Write)?;
        }
        let partitions: Vec<Partition> = claimed.cursors.iter().map(|cursor| cursor.partition).collect();
        claimed.parked = Parked::load(connection, &claimed.builds, &partitions).await?;
        Ok(claimed)
    }

    fn take(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        let number: i16 = row.try_get(0)?;
        // Numbers come from the leases of partitions that exist.
        let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) else { return Ok(()) };
        let position = Position(row.try_get(2)?);
        let (block, events): (i64, i32) = (row.try_get(3)?, row.try_get(4)?);
        let stored = Running::stored(block, events, row.try_get(5)?);
        self.generation = self.generation.max(Generation(row.try_get(1)?));
        self.cursors.push(Cursor { partition, position });
        self.digests.insert(partition, position, stored);
        Ok(())
    }
}
