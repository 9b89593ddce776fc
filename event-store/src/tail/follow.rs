//! A follower: from the ring where it can, from Postgres where it is further behind.

use std::sync::Arc;

use async_trait::async_trait;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::{PARTITION_COUNT, Partition};
use schema::topics::LogTopic;
use tokio::sync::watch::Receiver;

use crate::EventStore;
use crate::feed::{Error, Feed, FeedBatch, From};
use crate::partitions::PartitionSet;
use crate::read::READ_POSITIONS_MAX;
use crate::tail::Tail;
use crate::tail::ring::Glance;

/// Events of one batch from the ring.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Positions that are looked over at once by who is behind; few, since the whole stretch is decoded before it is handed on.
const CATCH_UP_POSITIONS: i64 = 2_000;
const _: () = assert!(CATCH_UP_POSITIONS <= READ_POSITIONS_MAX);

pub(crate) struct Follower {
    store: EventStore,
    tail: Tail,
    moved: Receiver<Position>,
    partitions: PartitionSet,
    at: Position,
    /// Where each partition has got to, while some are ahead of `at`.
    cursors: Option<[Position; PARTITION_COUNT as usize]>,
    /// The one that it began in.
    generation: Option<Generation>,
    /// Which ring it was last compared with the log beside.
    ring: u64,
}

impl Follower {
    pub fn new(store: EventStore, tail: Tail, partitions: PartitionSet, from: From) -> Self {
        let moved = tail.0.moved.subscribe();
        let (at, cursors) = match from {
            From::Position(position) => (position, None),
            From::Cursors(cursors) => {
                let mut of = [Position::START; PARTITION_COUNT as usize];
                for (partition, position) in cursors {
                    of[usize::from(partition.number())] = position;
                }
                let slot = |partition: Partition| of[usize::from(partition.number())];
                (partitions.iter().map(slot).min().unwrap_or_default(), Some(of))
            }
        };
        Self { store, tail, moved, partitions, at, cursors, generation: None, ring: 0 }
    }

    /// Leaves out what a partition has had already.
    fn not_yet_had(&mut self, events: &mut Vec<Arc<RecordedEvent>>, upto: Position) {
        let Some(cursors) = &self.cursors else { return };
        events.retain(|event| event.position > cursors[usize::from(event.partition.number())]);
        if cursors.iter().all(|&cursor| cursor <= upto) {
            self.cursors = None;
        }
    }

    /// What it has had may not be part of another generation.
    fn check_generation(&self, is: Generation, head: Position) -> Result<(), Error> {
        match self.generation {
            Some(was) if was != is => Err(Error::OtherGeneration { was, is, head }),
            _ => Ok(()),
        }
    }

    /// Positions above the head belong to a history that is gone. Looked at again whenever the ring has begun anew.
    async fn check_place(&mut self) -> Result<(), Error> {
        let ring = self.tail.slot().begun;
        if self.generation.is_none() || self.ring != ring {
            let (head, generation) = self.store.head().await?;
            self.check_generation(generation, head)?;
            let highest = |of: &[Position; PARTITION_COUNT as usize]| of.iter().copied().max();
            let from = self.cursors.as_ref().and_then(highest).unwrap_or_default().max(self.at);
            if from > head {
                return Err(Error::AheadOfLog { from, head, generation });
            }
            self.generation = Some(generation);
            self.ring = ring;
        }
        Ok(())
    }
}

#[async_trait]
impl Feed for Follower {
    async fn next(&mut self) -> Result<FeedBatch, Error> {
        loop {
            self.check_place().await?;
            // Marked as seen before the look, so that what comes after the look wakes us.
            self.moved.borrow_and_update();
            let glance = {
                let slot = self.tail.slot();
                if slot.begun != self.ring {
                    continue;
                }
                match &slot.ring {
                    // It is not told yet what the log has become: it begins anew as soon as it is.
                    Some(ring) if self.generation.is_some_and(|own| ring.generation() < own) => {
                        self.tail.0.look.notify_one();
                        Glance::Nothing
                    }
                    Some(ring) => {
                        self.check_generation(ring.generation(), ring.upto())?;
                        ring.glance(self.at, self.partitions, BATCH_EVENTS_MAX)
                    }
                    None => Glance::Nothing,
                }
            };
            let mut batch = match glance {
                Glance::Events(events, upto, generation) => FeedBatch { events, upto, generation },
                Glance::Behind => {
                    let stretch = self.store.read(self.at, CATCH_UP_POSITIONS, self.partitions).await?;
                    self.check_generation(stretch.generation, stretch.upto)?;
                    if stretch.upto <= self.at {
                        // The log has lost what the ring told of.
                        self.tail.0.look.notify_one();
                        self.moved.changed().await.map_err(|_| Error::Closed)?;
                        continue;
                    }
                    let events = stretch.events.into_iter().map(Arc::new).collect();
                    FeedBatch { events, upto: stretch.upto, generation: stretch.generation }
                }
                Glance::Nothing => {
                    self.moved.changed().await.map_err(|_| Error::Closed)?;
                    continue;
                }
            };
            self.not_yet_had(&mut batch.events, batch.upto);
            self.at = batch.upto;
            return Ok(batch);
        }
    }
}

/// A follower of all partitions that hands on what edges follow, and nothing else.
pub(crate) struct CommandFilter(pub Follower);

#[async_trait]
impl Feed for CommandFilter {
    async fn next(&mut self) -> Result<FeedBatch, Error> {
        let mut batch = self.0.next().await?;
        batch.events.retain(|event| LogTopic::StationCommands.holds(&event.event_type));
        Ok(batch)
    }
}
