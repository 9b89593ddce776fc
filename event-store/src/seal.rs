//! Sealing: of each block of positions that the head has passed, the digests of its partitions are written down.

use std::collections::BTreeMap;
use std::time::Duration;

use schema::digest::{BlockDigest, positions_of};
use schema::log::Position;
use schema::partition::Partition;
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;

/// The lease of who seals: one process is enough.
const LEASE: &str = "log-digests";
const LEASE_TTL: Duration = Duration::from_secs(60);
/// Blocks of one round: after an upgrade there may be many.
pub(crate) const BLOCKS_MAX: i64 = 20;
/// Positions that one statement reads.
const READ_POSITIONS: i64 = 16_384;

impl EventStore {
    /// Seals what is full now, instead of with the caretaker's next round, and whoever holds the lease: it may be of a
    /// process that was killed.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn seal_digests(&self) -> Result<(), sqlx::Error> {
        while seal_round(self).await? == BLOCKS_MAX {}
        Ok(())
    }
}

/// Seals what is full, as far as one round goes, unless another process does. Answers how many blocks it sealed.
pub(crate) async fn seal(store: &EventStore) -> Result<i64, sqlx::Error> {
    let Some((block, head)) = next(store).await? else { return Ok(0) };
    if positions_of(block).1 > head {
        return Ok(0);
    }
    let Some(lease) = store.acquire_lease(LEASE, 0, Uuid::now_v7(), LEASE_TTL).await? else { return Ok(0) };
    let sealed = seal_round(store).await?;
    store.release_lease(&lease).await?;
    Ok(sealed)
}

async fn seal_round(store: &EventStore) -> Result<i64, sqlx::Error> {
    let mut sealed = 0;
    let Some((mut block, head)) = next(store).await? else { return Ok(0) };
    while positions_of(block).1 <= head && sealed < BLOCKS_MAX {
        let digests = digests(store, block).await?;
        // The same from whoever does it: one that comes second changes nothing.
        let of = || digests.iter();
        let statement = sqlx::query(include_str!("seal/insert.sql"))
            .bind(block)
            .bind(of().map(|(partition, _)| i16::from(partition.number())).collect::<Vec<_>>())
            .bind(of().map(|(_, digest)| digest.events).collect::<Vec<_>>())
            .bind(of().map(|(_, digest)| digest.digest.to_vec()).collect::<Vec<_>>());
        store.database().execute(statement).await?;
        sealed += 1;
        block += 1;
    }
    Ok(sealed)
}

/// The first block that is not sealed, and the head.
async fn next(store: &EventStore) -> Result<Option<(i64, Position)>, sqlx::Error> {
    let rows = store.database().fetch_all(sqlx::query(include_str!("seal/next.sql"))).await?;
    rows.first().map(|row| Ok((row.try_get(0)?, Position(row.try_get(1)?)))).transpose()
}

async fn digests(store: &EventStore, block: i64) -> Result<BTreeMap<Partition, BlockDigest>, sqlx::Error> {
    let mut digests: BTreeMap<_, _> = Partition::all().map(|partition| (partition, BlockDigest::of(block))).collect();
    let (first, last) = positions_of(block);
    let mut after = first.0 - 1;
    while after < last.0 {
        let upto = last.0.min(after + READ_POSITIONS);
        let statement = sqlx::query(include_str!("seal/hashes.sql")).bind(after).bind(upto);
        for row in store.database().fetch_all(statement).await? {
            let number: i16 = row.try_get(1)?;
            let partition = u8::try_from(number).ok().and_then(Partition::new);
            if let Some(digest) = partition.and_then(|partition| digests.get_mut(&partition)) {
                digest.take(Position(row.try_get(0)?), row.try_get(2)?);
            }
        }
        after = upto;
    }
    Ok(digests)
}
