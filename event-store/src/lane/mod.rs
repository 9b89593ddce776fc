//! Group commit without a timer: appends of all tasks go to one lane, which flushes at once when it is idle and gathers
//! while a flush is under way.

mod columns;
mod flush;
mod gather;
mod recall;
mod verdict;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::append::{self, Append, Appended};
use crate::options::StoreOptions;
use crate::tail::Tail;

use flush::Flusher;

/// An append on its way.
pub(crate) struct Pending {
    append: Append,
    weight_bytes: usize,
    submitted: Instant,
    /// It was sent, and what came of it is not known.
    uncertain: bool,
    reply: oneshot::Sender<Result<Appended, append::Error>>,
    _place: OwnedSemaphorePermit,
}

/// The way into a lane. When the last one is dropped, the lane flushes what it has and ends.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    queue: mpsc::Sender<Pending>,
    room_bytes: Arc<Semaphore>,
    room_bytes_max: usize,
}

impl Lane {
    pub fn start(connect: PgConnectOptions, options: &StoreOptions, tail: Tail) -> Self {
        let (queue, pending) = mpsc::channel(options.queue_appends_max);
        let room_bytes_max = options.queue_bytes_max.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let flusher = Flusher::new(connect, options.clone(), tail);
        tokio::spawn(run(pending, flusher, options.clone()));
        Self { queue, room_bytes: Arc::new(Semaphore::new(room_bytes_max)), room_bytes_max }
    }

    /// Waits for a place in the queue, then for the outcome. Dropping the future before it has a place appends nothing;
    /// afterwards the append goes its way unwatched.
    pub async fn append(&self, append: Append) -> Result<Appended, append::Error> {
        append.check()?;
        let weight_bytes = append.weight_bytes();
        let permits = u32::try_from(weight_bytes.min(self.room_bytes_max)).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.room_bytes).acquire_many_owned(permits).await;
        let (reply, outcome) = oneshot::channel();
        let pending = Pending {
            append,
            weight_bytes,
            submitted: Instant::now(),
            uncertain: false,
            reply,
            _place: place.map_err(|_| append::Error::Closed)?,
        };
        self.queue.send(pending).await.map_err(|_| append::Error::Closed)?;
        outcome.await.unwrap_or(Err(append::Error::Closed))
    }
}

async fn run(mut pending: mpsc::Receiver<Pending>, mut flusher: Flusher, options: StoreOptions) {
    // Longer than a flush, so that what has to wait for another flush doesn't empty this one.
    let backlog_max = options.flush_appends_max * 4;
    let mut backlog = VecDeque::new();
    loop {
        if backlog.is_empty() {
            match pending.recv().await {
                Some(first) => backlog.push_back(first),
                None => return,
            }
        }
        // Those who were just answered, and whoever else is ready, get to append before the flush is closed: no timer, only
        // their turn.
        tokio::task::yield_now().await;
        while backlog.len() < backlog_max
            && let Ok(next) = pending.try_recv()
        {
            backlog.push_back(next);
        }
        let batch = gather::next_batch(&mut backlog, &options);
        flusher.flush(batch).await;
    }
}
