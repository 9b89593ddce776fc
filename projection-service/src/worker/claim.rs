//! The beginning of a tenure.

use event_store::leases::{self, Share};
use schema::log::{Generation, Position};
use schema::partition::Partition;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::Error;

/// A run of this worker in `views.runs`: the fence under which its batches commit.
pub(super) struct Claim {
    pub run: Uuid,
    /// Of the log.
    pub generation: Generation,
    /// Where each partition goes on.
    pub cursors: Vec<(Partition, Position)>,
}

/// Ends the runs that held any of the partitions, and begins one. In one transaction with the assertion of the leases:
/// a worker that wakes from a long sleep can't take anything.
///
/// From here on no lease is asked for again: whoever takes a partition over ends this run first, and the batches of an
/// ended run are refused. One row is checked and moved in each batch, instead of a lease for each partition.
pub(super) async fn claim(pool: &PgPool, transaction_pooler: bool, share: &Share) -> Result<Claim, Error> {
    let run = Uuid::now_v7();
    let partitions: Vec<i16> = share.iter().map(|lease| lease.partition).collect();
    let mut transaction = pool.begin().await.map_err(Error::Write)?;
    let statement = sqlx::query("SELECT o_partition, o_generation, o_position FROM views.claim($1, $2)")
        .bind(run)
        .bind(partitions)
        .persistent(!transaction_pooler);
    let rows = statement.fetch_all(&mut *transaction).await.map_err(Error::Write)?;
    if !leases::assert_in(&mut transaction, share).await.map_err(Error::Write)? {
        return Err(Error::Ended);
    }
    transaction.commit().await.map_err(Error::Write)?;

    let mut generation = Generation::FIRST;
    let mut cursors = Vec::with_capacity(rows.len());
    for row in rows {
        let cursor = || -> Result<_, sqlx::Error> { Ok((row.try_get::<i16, _>(0)?, row.try_get(1)?, row.try_get(2)?)) };
        let (number, of, position) = cursor().map_err(Error::Write)?;
        generation = generation.max(Generation(of));
        // Numbers come from the leases of partitions that exist.
        if let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) {
            cursors.push((partition, Position(position)));
        }
    }
    Ok(Claim { run, generation, cursors })
}
