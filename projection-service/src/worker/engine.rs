//! What folds the events of some partitions for all builds, and knows what is to be written of it. It holds what stays true
//! while nobody else writes rows of these partitions: a run, or a transaction that has ended all runs.

use std::sync::Arc;

use event_store::EventStore;
use pool::Connection;
use schema::digest::BlockDigest;
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::RowChange;

use super::Error;
use super::batch::{Folded, Plan};
use super::builds::{Build, Place};
use super::digests::Digests;
use super::parked::{Operation, Parked};
use super::release::{Released, release};
use super::rows::Rows;
use super::write::ToWrite;

pub(super) struct Engine {
    pub builds: Vec<Build>,
    pub parked: Parked,
    pub digests: Digests,
    pub rows: Rows,
}

/// A stretch of the log, folded.
pub(super) struct Batch {
    pub upto: Position,
    pub folded: Folded,
    pub released: Vec<Released>,
    pub rows: Vec<ToWrite>,
    /// Blocks of positions that it ends.
    pub ended: Vec<(Partition, BlockDigest)>,
}

/// A part of a batch: what releases a key stands alone, since what it finds must have been written before.
pub(super) enum Part<'e> {
    Events(&'e [Arc<RecordedEvent>]),
    Operation(&'e Arc<RecordedEvent>, Operation),
}

/// The parts of a batch, in order, each with the position up to where it goes.
pub(super) fn parts(events: &[Arc<RecordedEvent>], upto: Position) -> Vec<(Part<'_>, Position)> {
    let mut parts = vec![];
    let mut rest = events;
    while let Some((at, operation)) = rest.iter().enumerate().find_map(|(at, event)| Some((at, Operation::of(event)?)))
    {
        if let Some(before) = rest[..at].last() {
            parts.push((Part::Events(&rest[..at]), before.position));
        }
        parts.push((Part::Operation(&rest[at], operation), rest[at].position));
        rest = &rest[at + 1..];
    }
    parts.push((Part::Events(rest), upto));
    parts
}

impl Engine {
    /// After this the engine expects the batch to be written; if it can't be, the engine is of no further use.
    ///
    /// `connection`: what was written so far can be read on it. Only an operation needs it.
    pub async fn take(
        &mut self,
        connection: Option<&mut Connection<'_>>,
        store: &EventStore,
        part: Part<'_>,
        upto: Position,
    ) -> Result<Batch, Error> {
        let (events, folded, released) = match &part {
            Part::Events(events) => (*events, self.fold(events).await?, vec![]),
            Part::Operation(event, operation) => {
                let connection = connection.ok_or(Error::Write(sqlx::Error::PoolClosed))?;
                let (folded, released) = self.operate(connection, store, event, operation).await?;
                (std::slice::from_ref(*event), folded, released)
            }
        };
        let ended = self.digests.take(events.iter().map(AsRef::as_ref), upto);
        let mut folded = folded;
        let rows = std::mem::take(&mut folded.rows).into_iter();
        let rows = rows.map(|(nth, row)| ToWrite::new(nth, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Batch { upto, folded, released, rows, ended })
    }

    /// Once the batch is written. Answers the rows that serve.
    pub fn keep(&mut self, batch: Batch) -> Vec<Arc<RowChange>> {
        batch.rows.iter().for_each(|row| self.rows.keep(row.nth, &row.change));
        let live = batch.rows.into_iter().filter(|row| self.builds[row.nth].place == Place::Live);
        live.map(|row| row.change).collect()
    }

    async fn fold(&mut self, events: &[Arc<RecordedEvent>]) -> Result<Folded, Error> {
        let plan = Plan::of(events.iter().map(AsRef::as_ref), &self.builds);
        let read = self.rows.read(&self.builds, &plan.wanted()).await?;
        let rows = &self.rows;
        let folded = plan.fold(&mut self.parked, |slot| {
            let row = rows.get(slot).or_else(|| read.get(slot))?;
            Some(RowChange::clone(row))
        });
        for parked in &folded.parked {
            let (key, error) = (parked.held.partition_key, &parked.error);
            let model =
                self.builds.iter().find(|build| build.id == parked.held.build_id).map(|build| build.model.name());
            tracing::error!(model, %key, position = %parked.held.position, error, "a key is parked");
        }
        Ok(folded)
    }

    async fn operate(
        &mut self,
        connection: &mut Connection<'_>,
        store: &EventStore,
        event: &RecordedEvent,
        operation: &Operation,
    ) -> Result<(Folded, Vec<Released>), Error> {
        let mut folded = Folded { events: 1, ..Folded::default() };
        folded.checkpoints.insert(event.partition, event.position);
        let mut done = vec![];
        for nth in 0..self.builds.len() {
            let build = &self.builds[nth];
            if build.model != operation.model || !self.parked.contains(build, operation.partition_key) {
                continue;
            }
            let at = (self.builds.as_slice(), nth);
            let released = release(connection, store, &self.rows, &mut self.parked, at, (event, operation)).await?;
            if let Some((released, rows)) = released {
                folded.rows.extend(rows);
                done.push(released);
            }
        }
        Ok((folded, done))
    }
}
