//! When a flush is begun, and with what.
//!
//! Commits are serialised in the database, so that a second flush at the same time only gets ready while the first one
//! commits. That pays when there is much to get ready, and when flushes are quick: then two take turns, each with half of
//! what there is. Where a sync is slow, few appends do better to share the next commit.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pool::Pool;
use tokio::sync::{Notify, mpsc};

use crate::lane::Pending;
use crate::lane::flush::Flusher;
use crate::lane::gather::{self, Touched};
use crate::lane::notice::Notices;
use crate::lineage::Era;
use crate::options::StoreOptions;
use crate::tail::Tail;

/// While a flush is under way, another one is made for no fewer events than it has, within these bounds: that many take
/// longer to get ready than a commit takes, or are enough in any case.
const ENOUGH_EVENTS: RangeInclusive<usize> = 64..=128;
const ENOUGH_EVENTS_WHEN_QUICK: RangeInclusive<usize> = 8..=128;
/// No slow sync is in flushes that take no longer on average.
const QUICK: Duration = Duration::from_micros(1_500);

/// What waits in the queue, counted, so that the lane is woken when it is worth its while and not for each append.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    events: AtomicUsize,
    /// For how many the lane wants to be woken.
    wanted: AtomicUsize,
    enough: Notify,
}

impl Gathered {
    pub fn add(&self, events: usize) {
        let before = self.events.fetch_add(events, Ordering::Relaxed);
        let wanted = self.wanted.load(Ordering::Relaxed);
        if before < wanted && before + events >= wanted {
            self.enough.notify_one();
        }
    }

    /// At once, if they are there already.
    fn want(&self, events: usize) {
        self.wanted.store(events, Ordering::Relaxed);
        if self.events.load(Ordering::Relaxed) >= events {
            self.enough.notify_one();
        }
    }

    fn remove(&self, events: usize) {
        self.events.fetch_sub(events, Ordering::Relaxed);
    }
}

pub(super) struct Runner {
    queue: mpsc::Receiver<Pending>,
    gathered: Arc<Gathered>,
    options: StoreOptions,
    backlog: VecDeque<Pending>,
    idle: Vec<Flusher>,
    /// What each flush under way touches, by its number.
    touched: BTreeMap<u64, Touched>,
    flushes: u64,
    /// How long a flush takes, of late.
    flush_takes: Duration,
}

impl Runner {
    pub fn new(
        queue: mpsc::Receiver<Pending>,
        gathered: Arc<Gathered>,
        pool: &Pool,
        options: &StoreOptions,
        (tail, era): (&Tail, &Era),
    ) -> Self {
        let notices = options.notify.then(|| Notices::start(pool.clone(), tail.sender().to_owned()));
        let flusher = |_| Flusher::new(pool.clone(), options.clone(), tail.clone(), era.clone(), notices.clone());
        Self {
            queue,
            gathered,
            options: options.clone(),
            backlog: VecDeque::new(),
            idle: (0..options.flushes_max.max(1)).map(flusher).collect(),
            touched: BTreeMap::new(),
            flushes: 0,
            flush_takes: 2 * QUICK,
        }
    }

    /// Until the lane has been dropped and all that it took is answered.
    pub async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            if under_way.is_empty() && self.backlog.is_empty() {
                let Some(first) = self.queue.recv().await else { return };
                self.take(first);
            } else if !under_way.is_empty() {
                tokio::select! {
                    Some((number, flusher, took)) = under_way.next() => {
                        self.touched.remove(&number);
                        self.flush_takes = (self.flush_takes * 7 + took) / 8;
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
                    let begun = Instant::now();
                    flusher.flush(batch).await;
                    (number, flusher, begun.elapsed())
                });
            }
            if !self.touched.is_empty() && !self.idle.is_empty() {
                self.gathered.want(self.enough_events().saturating_sub(self.backlog_events()).max(1));
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

    /// None: there is nothing that can go now, or too little beside what is under way.
    fn next_flush(&mut self) -> Option<(Vec<Pending>, Flusher)> {
        if !self.touched.is_empty() && self.backlog_events() < self.enough_events() {
            return None;
        }
        let flusher = self.idle.pop()?;
        let appends_max = self.appends_max();
        let (batch, touched) = gather::next_batch(&mut self.backlog, &self.touched, &self.options, appends_max);
        if batch.is_empty() {
            self.idle.push(flusher);
            return None;
        }
        self.flushes += 1;
        self.touched.insert(self.flushes, touched);
        Some((batch, flusher))
    }

    /// For a further flush, beside what is under way.
    fn enough_events(&self) -> usize {
        let largest = self.touched.values().map(Touched::events).max().unwrap_or_default();
        let bounds = if self.is_quick() { ENOUGH_EVENTS_WHEN_QUICK } else { ENOUGH_EVENTS };
        largest.clamp(*bounds.start(), *bounds.end())
    }

    /// Of the next flush.
    fn appends_max(&self) -> usize {
        let (most, waiting) = (self.options.flush_appends_max, self.backlog.len());
        let halve = self.touched.is_empty() && self.is_quick() && waiting >= 2 * ENOUGH_EVENTS_WHEN_QUICK.start();
        if halve { most.min(waiting / 2) } else { most }
    }

    fn is_quick(&self) -> bool {
        self.flush_takes <= QUICK
    }

    fn backlog_events(&self) -> usize {
        self.backlog.iter().map(|pending| pending.append.event_count()).sum()
    }
}
