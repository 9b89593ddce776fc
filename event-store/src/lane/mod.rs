//! Group commit without a timer: appends of all tasks go to one lane, which flushes at once when it is idle and gathers
//! while a flush is under way.

mod columns;
mod flush;
mod gather;
mod notice;
mod order;
mod recall;
mod runner;
mod verdict;

use std::sync::Arc;
use std::time::Instant;

use pool::Pool;
use schema::log::Generation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::append::{self, Append, Appended};
use crate::lineage::Era;
use crate::options::StoreOptions;
use crate::tail::Tail;

use runner::{Gathered, Runner};

/// An append on its way.
pub(crate) struct Pending {
    append: Append,
    weight_bytes: usize,
    submitted: Instant,
    /// The generation of the log that it was decided on; none: it was decided on nothing.
    generation: Option<Generation>,
    /// It was sent, and what came of it is not known.
    uncertain: bool,
    reply: oneshot::Sender<Result<Appended, append::Error>>,
    _place: OwnedSemaphorePermit,
}

/// The way into a lane. When the last one is dropped, the lane flushes what it has and ends.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    queue: mpsc::Sender<Pending>,
    gathered: Arc<Gathered>,
    room_bytes: Arc<Semaphore>,
    room_bytes_max: usize,
}

impl Lane {
    pub fn start(pool: &Pool, options: &StoreOptions, tail: &Tail, era: &Era) -> Self {
        let (queue, pending) = mpsc::channel(options.queue_appends_max);
        let room_bytes_max = options.queue_bytes_max.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let gathered = Arc::<Gathered>::default();
        let runner = Runner::new(pending, Arc::clone(&gathered), pool, options, (tail, era));
        tokio::spawn(runner.run());
        Self { queue, gathered, room_bytes: Arc::new(Semaphore::new(room_bytes_max)), room_bytes_max }
    }

    /// Waits for a place in the queue, then for the outcome. Dropping the future before it has a place appends nothing;
    /// afterwards the append goes its way unwatched.
    pub async fn append(&self, append: Append, generation: Option<Generation>) -> Result<Appended, append::Error> {
        append.check()?;
        let weight_bytes = append.weight_bytes();
        let permits = u32::try_from(weight_bytes.min(self.room_bytes_max)).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.room_bytes).acquire_many_owned(permits).await;
        let (reply, outcome) = oneshot::channel();
        let pending = Pending {
            append,
            weight_bytes,
            submitted: Instant::now(),
            generation,
            uncertain: false,
            reply,
            _place: place.map_err(|_| append::Error::Closed)?,
        };
        // Counted before it can be taken out.
        let events = pending.append.event_count();
        let slot = self.queue.reserve().await.map_err(|_| append::Error::Closed)?;
        self.gathered.add(events);
        slot.send(pending);
        outcome.await.unwrap_or(Err(append::Error::Closed))
    }
}
