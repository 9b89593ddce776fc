//! A worker's hold on its partitions, from a claim until something goes wrong.

use std::sync::Arc;
use std::time::Instant;

use event_store::feed::{Feed, FeedBatch, From, Log};
use event_store::leases::Share;
use event_store::{EventStore, PartitionSet};
use pool::Pool;
use schema::log::{Generation, Position, RecordedEvent};
use schema::view::Boundaries;
use uuid::Uuid;

use super::claim::{Claim, Claimed, claim};
use super::cut::cut;
use super::engine::{Engine, Part, parts};
use super::rows::Rows;
use super::write::{Step, Write, write};
use super::{BATCH_EVENTS_MAX, Error};
use crate::config::Config;
use crate::metrics;
use crate::views::{Published, Views};

pub(super) struct Tenure<'w> {
    config: &'w Config,
    store: &'w EventStore,
    pool: &'w Pool,
    views: &'w Views,
    run: Uuid,
    generation: Generation,
    feed: Box<dyn Feed>,
    engine: Engine,
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
        store: &'w EventStore,
        pool: &'w Pool,
        views: &'w Views,
        share: &Share,
    ) -> Result<Self, Error> {
        let Claim { run, claimed } = claim(pool, &config.folds, share).await?;
        let Claimed { generation, cursors, digests, builds, parked } = claimed;
        let boundaries = views.tables().boundaries().await?;
        let partitions: PartitionSet = cursors.iter().map(|cursor| cursor.partition).collect();
        let positions = || cursors.iter().map(|cursor| cursor.position);
        let at = positions().min().unwrap_or_default();
        let even_from = positions().max().unwrap_or_default();
        tracing::debug!(%run, partitions = partitions.len(), %at, "claimed partitions");
        views.set_whole(partitions.is_all());
        Ok(Self {
            config,
            store,
            pool,
            views,
            run,
            generation,
            all: partitions.is_all(),
            feed: store.follow(
                partitions,
                From::Cursors(cursors.iter().map(|cursor| (cursor.partition, cursor.position)).collect()),
            ),
            engine: Engine {
                builds,
                parked,
                digests,
                rows: Rows::new(views.tables().clone(), pool.clone(), config.rows_max),
            },
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
        for (part, upto) in parts(events, upto) {
            self.commit(part, upto).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, part: Part<'_>, upto: Position) -> Result<(), Error> {
        if upto <= self.at {
            return Ok(());
        }
        let began = Instant::now();
        let batch = match &part {
            Part::Events(_) => self.engine.take(None, self.store, part, upto).await?,
            Part::Operation(..) => {
                let mut connection = self.pool.acquire().await.map_err(Error::Write)?;
                self.engine.take(Some(&mut connection), self.store, part, upto).await?
            }
        };
        let step = Step::Advance { run: self.run, notify: self.config.notify };
        let to_write = Write { step, engine: &self.engine, batch: &batch };
        write(self.pool, &to_write).await?;
        metrics::batch(batch.folded.events, batch.rows.len(), began.elapsed());
        let rows = self.engine.keep(batch);
        let after = std::mem::replace(&mut self.at, upto);
        let whole = self.all && after >= self.even_from;
        self.views.publish(Published { after, upto, generation: self.generation, rows, whole });
        Ok(())
    }
}
