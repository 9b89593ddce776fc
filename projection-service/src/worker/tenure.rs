//! A worker's hold on its partitions, from a claim until something goes wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use event_store::feed::{Feed, FeedBatch, From, Log};
use event_store::leases::Share;
use event_store::{EventStore, PartitionSet};
use schema::log::{Generation, Position, RecordedEvent};
use schema::view::{Boundaries, RowChange};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::Error;
use super::batch::Plan;
use super::claim::claim;
use super::cut::cut;
use super::rows::{Rows, Slot};
use super::write::{ToWrite, Write, write};
use crate::config::Config;
use crate::metrics;
use crate::views::{Published, Views};

/// Events of one transaction.
const BATCH_EVENTS_MAX: usize = 500;

pub(super) struct Tenure<'w> {
    config: &'w Config,
    pool: &'w PgPool,
    views: &'w Views,
    run: Uuid,
    generation: Generation,
    feed: Box<dyn Feed>,
    rows: Rows,
    /// Those in force since the claim: whoever changes them ends the run.
    boundaries: Boundaries,
    /// Everything up to here is committed.
    at: Position,
    /// It has every partition.
    all: bool,
    /// The furthest that a partition was at the claim: before, a batch does not have all that lies between its ends.
    even_from: Position,
}

impl<'w> Tenure<'w> {
    pub async fn claim(
        config: &'w Config,
        store: &EventStore,
        pool: &'w PgPool,
        views: &'w Views,
        share: &Share,
    ) -> Result<Self, Error> {
        let claim = claim(pool, config.transaction_pooler, share).await?;
        let boundaries = views.tables().boundaries().await?;
        let partitions: PartitionSet = claim.cursors.iter().map(|(partition, _)| *partition).collect();
        let positions = || claim.cursors.iter().map(|(_, position)| *position);
        let at = positions().min().unwrap_or_default();
        let even_from = positions().max().unwrap_or_default();
        tracing::debug!(run = %claim.run, partitions = partitions.len(), %at, "claimed partitions");
        views.set_whole(partitions.is_all());
        Ok(Self {
            config,
            pool,
            views,
            run: claim.run,
            generation: claim.generation,
            all: partitions.is_all(),
            feed: store.follow(partitions, From::Cursors(claim.cursors)),
            rows: Rows::new(views.tables().clone(), config.rows_max),
            boundaries,
            at,
            even_from,
        })
    }

    /// Everything up to here is committed.
    #[cfg(test)]
    pub fn at(&self) -> Position {
        self.at
    }

    /// Takes what has gathered, however little, and commits it.
    pub async fn next(&mut self) -> Result<(), Error> {
        let FeedBatch { events, upto, generation } = self.feed.next().await?;
        if generation != self.generation {
            return Err(Error::NewGeneration { of_log: generation });
        }
        let mut rest = events.as_slice();
        while let Some((count, upto)) = cut(rest, BATCH_EVENTS_MAX, &self.boundaries) {
            let (part, after) = rest.split_at(count);
            self.apply(part, upto).await?;
            rest = after;
        }
        self.apply(rest, upto).await
    }

    async fn apply(&mut self, events: &[Arc<RecordedEvent>], upto: Position) -> Result<(), Error> {
        let began = Instant::now();
        let plan = Plan::of(events);
        let wanted = plan.wanted();
        let read = self.rows.read(&wanted.iter().collect::<Vec<_>>()).await?;
        let read: HashMap<Slot, Arc<RowChange>> =
            read.into_iter().map(|row| ((row.row.model(), row.key.clone()), row)).collect();
        let folded = plan.fold(|slot| {
            let row = self.rows.get(slot).or_else(|| read.get(slot))?;
            Some(RowChange::clone(row))
        });
        // Everything before a poisonous event is committed; the cursor stops in front of it.
        let upto = folded.poison.as_ref().map_or(upto, |(at, _)| Position(at.0 - 1));
        let rows = folded.rows.into_iter().map(ToWrite::new).collect::<Result<Vec<_>, _>>()?;
        if upto > self.at {
            let batch = Write {
                run: self.run,
                upto,
                checkpoints: &folded.checkpoints,
                rows: &rows,
                notify: self.config.notify,
            };
            write(self.pool, self.config.transaction_pooler, &batch).await?;
            metrics::batch(folded.events, rows.len(), began.elapsed());
            self.committed(upto, rows);
        }
        match folded.poison {
            Some((at, source)) => Err(Error::Poison { at, source }),
            None => Ok(()),
        }
    }

    fn committed(&mut self, upto: Position, rows: Vec<ToWrite>) {
        let rows: Vec<Arc<RowChange>> = rows.into_iter().map(|row| row.change).collect();
        rows.iter().for_each(|row| self.rows.keep(row));
        let after = std::mem::replace(&mut self.at, upto);
        let whole = self.all && after >= self.even_from;
        self.views.publish(Published { after, upto, generation: self.generation, rows, whole });
    }
}
