//! One tail for each process: it learns of each new stretch of the log once, decodes it once, and keeps the newest events
//! for all followers. What this process appends comes straight from the lane and is not read back.

mod follow;
mod ring;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schema::log::{Generation, Position, RecordedEvent};
use tokio::sync::{Notify, watch as signal};

use uuid::Uuid;

use ring::Ring;

pub(crate) use follow::PostgresFeed;
pub(crate) use watch::run;

#[derive(Debug, Clone)]
pub(crate) struct Tail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Option<Ring>>,
    /// Up to where the ring goes: what followers wait on.
    moved: signal::Sender<Position>,
    /// Somebody follows: before the first one there is nothing to keep.
    followed: AtomicBool,
    /// By which this process knows its own notices.
    sender: String,
    /// Tells the watcher to look at the log now.
    look: Notify,
}

impl Tail {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            ring: Mutex::new(None),
            moved: signal::Sender::new(Position::START),
            followed: AtomicBool::new(false),
            sender: Uuid::new_v4().to_string(),
            look: Notify::new(),
        }))
    }

    pub fn sender(&self) -> &str {
        &self.0.sender
    }

    pub fn is_followed(&self) -> bool {
        self.0.followed.load(Ordering::Acquire)
    }

    /// From a lane: what it has just committed after `base`.
    pub fn publish(&self, base: Position, generation: Generation, events: Vec<Arc<RecordedEvent>>) {
        let Some(upto) = events.last().map(|event| event.position) else { return };
        let gap = self.with_ring(|ring| {
            let known = ring.generation() == generation;
            if known {
                ring.take(base, upto, events);
            }
            (ring.upto(), !known || ring.has_gap())
        });
        match gap {
            Some((upto, false)) => self.moved(upto),
            // Another process appended in between, or the ring is not begun.
            Some((_, true)) | None => self.0.look.notify_one(),
        }
    }

    fn moved(&self, upto: Position) {
        self.0.moved.send_if_modified(|seen| std::mem::replace(seen, upto) != upto);
    }

    fn with_ring<T>(&self, with: impl FnOnce(&mut Ring) -> T) -> Option<T> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(with)
    }
}
