//! When a flush is begun, and with what.
//!
//! Commits are serialised in the database, so that a second flush at the same time only gets ready while the first one
//! commits. That pays when there is much to get ready; few appends do better to share the next commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Notify, mpsc};

use crate::lane::Pending;
use crate::lane::flush::Flusher;
use crate::lane::gather::{self, Touched};
use crate::options::StoreOptions;
use crate::tail::Tail;

/// While a flush is under way, another one is made for no fewer events: that many take longer to get ready than a commit
/// takes.
const ENOUGH_EVENTS: usize = 64;

/// What waits in the queue, counted, so that the lane is woken when it is worth its while and not for each append.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    events: AtomicUsize,
    enough: Notify,
}

impl Gathered {
    pub fn add(&self, events: usize) {
        let before = self.events.fetch_add(events, Ordering::Relaxed);
        if before < ENOUGH_EVENTS && before + events >= ENOUGH_EVENTS {
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
}

impl Runner {
    pub fn new(
        queue: mpsc::Receiver<Pending>,
        gathered: Arc<Gathered>,
        connect: &PgConnectOptions,
        options: &StoreOptions,
        tail: &Tail,
    ) -> Self {
        let flusher = |_| Flusher::new(connect.clone(), options.clone(), tail.clone());
        Self {
            queue,
            gathered,
            options: options.clone(),
            backlog: VecDeque::new(),
            idle: (0..options.flushes_max.max(1)).map(flusher).collect(),
            touched: BTreeMap::new(),
            flushes: 0,
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

    /// None: there is nothing that can go now, or too little beside what is under way.
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
