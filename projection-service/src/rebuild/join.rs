//! From the making of a build to its keeping: the workers take it along from where they are.

use std::sync::Arc;

use pool::Connection;
use schema::log::Position;
use schema::partition::Partition;
use sqlx::Row;

use super::job::Job;
use super::load::own;
use super::part::Part;
use super::progress::Progress;
use super::skipped::Skipped;
use super::source::Source;
use super::table::Table;
use super::{Error, Rebuilder};
use crate::worker::digests::{self, Digests, Running};

/// Positions that may be left to be folded while the workers wait.
pub(super) const JOIN_POSITIONS_MAX: i64 = 5_000;

/// Folds the rest up to where the live build is, while no worker commits, and lets the workers write both from there on.
/// None: too much was left, and nothing has happened.
pub(super) async fn join(rebuilder: &Rebuilder, job: &Job, progress: &Progress) -> Result<Option<Position>, Error> {
    let at = job.positions(&rebuilder.pool).await?;
    let from = at.iter().map(|(_, position)| *position).min().unwrap_or_default();
    // Before the lock, so that nobody waits for a connection under it.
    let reader = rebuilder.connect().await?;
    let skipped = Arc::new(Skipped::read(&rebuilder.store, job.model).await?);
    let mut connection = rebuilder.connect().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT views.end_runs()").persistent(false).execute(&mut *transaction).await?;
    own(&mut transaction, job).await?;
    let live = checkpoints(&mut transaction).await?;
    let upto = live.iter().map(|(_, position)| *position).max().unwrap_or_default();
    if upto.0 - from.0 > JOIN_POSITIONS_MAX {
        transaction.rollback().await?;
        return Ok(None);
    }
    progress.aim(upto);
    let parked = job.parked(&mut *transaction).await?;
    let digests = job.digests(&rebuilder.pool).await?;
    let mut part = Part::new(job.fold.clone(), Table::of(job.model), rebuilder.limits.rows, at)
        .with_parked(parked, true)
        .without(skipped)
        .with_digests(digests);
    let mut source = Source::new((rebuilder.store.clone(), reader), job.model, JOIN_POSITIONS_MAX, from, upto);
    while let Some((_, shares)) = source.next(1).await? {
        for mut rows in shares {
            rows.retain(|row| live.iter().any(|(of, upto)| *of == row.partition && row.position <= *upto));
            progress.took(part.take(&mut transaction, &rows).await?);
        }
    }
    compare_digests(&mut transaction, job, &mut part).await?;
    digests::consume(&mut transaction, job.build_id, &part.ended()).await?;
    progress.wrote(part.write(&mut transaction, job.build_id).await?);
    sqlx::query(include_str!("joined.sql")).bind(job.build_id).persistent(false).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM views.build_progress WHERE build_id = $1")
        .bind(job.build_id)
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(live.iter().map(|(_, position)| *position).min().unwrap_or_default()))
}

/// What the build has consumed of the blocks under way is what the live ones have: from here on they consume together.
async fn compare_digests(connection: &mut Connection<'_>, job: &Job, part: &mut Part) -> Result<(), Error> {
    let rows = sqlx::query(include_str!("live_digests.sql")).persistent(false).fetch_all(connection).await?;
    for row in rows {
        let (number, position): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
        let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) else { continue };
        let mut live = Digests::default();
        let stored = Running::stored(row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        live.insert(partition, Position(position), stored);
        part.reach(partition, Position(position));
        if let (Some(Running::Known(live)), Some(Running::Known(own))) = (live.get(partition), part.digest(partition))
            && live != own
        {
            return Err(Error::OtherEvents { model: job.model, number: job.number, partition: number });
        }
    }
    Ok(())
}

/// Where each partition of the live builds is. Under `views.end_runs`, that is where it stays.
pub(super) async fn checkpoints(connection: &mut Connection<'_>) -> Result<Vec<(Partition, Position)>, Error> {
    let statement = sqlx::query("SELECT partition, position FROM views.progress ORDER BY partition").persistent(false);
    let mut checkpoints = vec![];
    for row in statement.fetch_all(connection).await? {
        let number: i16 = row.try_get(0)?;
        if let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) {
            checkpoints.push((partition, Position(row.try_get(1)?)));
        }
    }
    Ok(checkpoints)
}
