//! Group commit without a timer: appends of all tasks go to one lane, which flushes at once when it is idle and gathers
//! while a flush is under way.
//!
//! Commits are serialised in the database, so that a second flush at the same time only gets ready while the first one
//! commits. That pays when there is much to get ready; few appends do better to share the next commit.

mod columns;
mod flush;
mod gather;
mod recall;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::append::{self, Append, Appended};
use crate::options::StoreOptions;
use crate::tail::Tail;

use flush::Flusher;
use gather::Touched;

/// While a flush is under way, another one is made for no fewer events: that many take longer to get ready than a commit
/// takes.
const ENOUGH_EVENTS: usize = 64;

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
    gathered: Arc<Gathered>,
    room_bytes: Arc<Semaphore>,
    room_bytes_max: usize,
}

impl Lane {
    pub fn start(connect: &PgConnectOptions, options: &StoreOptions, tail: &Tail) -> Self {
        let (queue, pending) = mpsc::channel(options.queue_appends_max);
        let room_bytes_max = options.queue_bytes_max.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let gathered = Arc::<Gathered>::default();
        let flusher = || Flusher::new(connect.clone(), options.clone(), tail.clone());
        let runner = Runner {
            queue: pending,
            gathered: Arc::clone(&gathered),
            options: options.clone(),
            backlog: VecDeque::new(),
            idle: (0..options.flushes_max.max(1)).map(|_| flusher()).collect(),
            touched: BTreeMap::new(),
            flushes: 0,
        };
        tokio::spawn(runner.run());
        Self { queue, gathered, room_bytes: Arc::new(Semaphore::new(room_bytes_max)), room_bytes_max }
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
        // Counted before it can be taken out.
        let events = pending.append.event_count();
        let slot = self.queue.reserve().await.map_err(|_| append::Error::Closed)?;
        self.gathered.add(events);
        slot.send(pending);
        outcome.await.unwrap_or(Err(append::Error::Closed))
    }
}

/// What waits in the queue, counted, so that the lane is woken when it is worth its while and not for each append.
#[derive(Debug, Default)]
struct Gathered {
    events: AtomicUsize,
    enough: Notify,
}

impl Gathered {
    fn add(&self, events: usize) {
        let before = self.events.fetch_add(events, Ordering::Relaxed);
        if before < ENOUGH_EVENTS && before + events >= ENOUGH_EVENTS {
            self.enough.notify_one();
        }
    }

    fn remove(&self, events: usize) {
        self.events.fetch_sub(events, Ordering::Relaxed);
    }
}

struct Runner {
    queue: mpsc::Receiver<Pending>,
    gathered: Arc<Gathered>,
    options: StoreOptions,
    backlog: VecDeque<Pending>,
    idle: Vec<Flusher>,
    /// What each flush under way touches, by its number.
    touched: BTreeMap<u64, Touched>,
    flushes: u64,
}

impl Runner {
    /// Until the lane has been dropped and all that it took is answered.
    async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            if under_way.is_empty() && self.backlog.is_empty() {
                let Some(first) = self.queue.recv().await else { return };
                self.take(first);
            } else if !under_way.is_empty() {
                tokio::select! {
                    Some((number, flusher)) = under_way.next() => {
                        self.touched.remove(&number);
                        self.idle.push(flusher);
                    }
                    () = self.gathered.enough.notified(), if !self.idle.is_empty() => {}
                }
            }
            // Those who were just answered, and whoever else is ready, get to append before the flush is closed: no timer,
            // only their turn.
            tokio::task::yield_now().await;
            self.take_all();
            while let Some((batch, mut flusher)) = self.next_flush() {
                let number = self.flushes;
                under_way.push(async move {
                    flusher.flush(batch).await;
                    (number, flusher)
                });
            }
        }
    }

    fn take_all(&mut self) {
        // Longer than a flush, so that what has to wait for another flush doesn't empty this one.
        let backlog_max = self.options.flush_appends_max * 4;
        while self.backlog.len() < backlog_max
            && let Ok(next) = self.queue.try_recv()
        {
            self.take(next);
        }
    }

    fn take(&mut self, pending: Pending) {
        self.gathered.remove(pending.append.event_count());
        self.backlog.push_back(pending);
    }

    fn next_flush(&mut self) -> Option<(Vec<Pending>, Flusher)> {
        let mut events = self.backlog.iter().scan(0, |sum, pending| {
            *sum += pending.append.event_count();
            Some(*sum)
        });
        if !self.touched.is_empty() && !events.any(|sum| sum >= ENOUGH_EVENTS) {
            return None;
        }
        let flusher = self.idle.pop()?;
        let (batch, touched) = gather::next_batch(&mut self.backlog, &self.touched, &self.options);
        if batch.is_empty() {
            self.idle.push(flusher);
            return None;
        }
        self.flushes += 1;
        self.touched.insert(self.flushes, touched);
        Some((batch, flusher))
    }
}
