//! A ring of the newest events for all followers of a process: each new stretch of the log is learned once and decoded once.
//!
//! Postgres feeds it ([`watch`]): notices of other processes, polling, and what this process appends, which comes straight
//! from the lane and is not read back. Or Kafka does ([`crate::kafka`]): then lanes don't, nobody listens, and Postgres has
//! what Kafka does not bring in time.

mod follow;
mod ring;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::log::{Generation, Position, RecordedEvent};
use tokio::sync::{Notify, watch as signal};
use uuid::Uuid;

use ring::Ring;

pub(crate) use follow::{CommandFilter, Follower};
pub(crate) use ring::{Limits, Stretch, Taken};
pub(crate) use watch::run;

#[derive(Debug, Clone)]
pub(crate) struct Tail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    slot: Mutex<Slot>,
    /// Up to where the ring goes: what followers wait on.
    moved: signal::Sender<Position>,
    /// Somebody follows what lanes feed: before the first one there is nothing to keep.
    followed: AtomicBool,
    /// By which this process knows its own notices.
    sender: String,
    /// Tells the watcher to look at the log now.
    look: Notify,
    /// Tells it that something is due at another time than before.
    rescheduled: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    ring: Option<Ring>,
    /// How many rings there have been: followers of an earlier one have to look where they are.
    begun: u64,
    /// When what is missing below an early record is to be read from Postgres, and up to where.
    fill: Option<Fill>,
    /// How often the ring grew by what Kafka brought.
    brought: u64,
    /// The log has lost a tail, up to here, and is not of another generation yet: what Kafka has may be of what was lost.
    lost_upto: Option<Position>,
}

/// What Kafka has not brought, and Postgres has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub at: Instant,
    pub upto: Position,
}

impl Fill {
    fn is_due(self, now: Instant) -> bool {
        self.at <= now
    }
}

/// How the ring stood before the head was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// When that was.
    pub at: Instant,
    pub upto: Position,
    pub highest: Position,
    pub brought: u64,
}

/// What the head says of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was begun anew at the head.
    Begun,
    Upto(Position),
}

/// What became of records of Kafka.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brought {
    pub taken: u64,
    /// Twice, or after it had been read from Postgres.
    pub known: u64,
    pub no_room: u64,
    /// Of another generation than the log as it is known, or of what it may have lost.
    pub foreign: u64,
}

/// A record of Kafka, for the ring.
#[derive(Debug)]
pub(crate) enum Carried {
    Event {
        event: Arc<RecordedEvent>,
        bytes: usize,
    },
    /// It can't be understood, but says whose place it takes.
    Undecodable(Position),
}

impl Tail {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            slot: Mutex::default(),
            moved: signal::Sender::new(Position::START),
            followed: AtomicBool::new(false),
            sender: Uuid::new_v4().to_string(),
            look: Notify::new(),
            rescheduled: Notify::new(),
        }))
    }

    pub fn sender(&self) -> &str {
        &self.0.sender
    }

    pub fn is_followed(&self) -> bool {
        self.0.followed.load(Ordering::Acquire)
    }

    /// From a lane: what it has just committed after `after`.
    pub fn publish(&self, generation: Generation, stretch: Stretch) {
        if stretch.events.is_empty() {
            return;
        }
        let gap = self.with_ring(|ring| {
            let known = ring.generation() == generation;
            if known {
                ring.take(stretch);
            }
            (ring.upto(), !known || ring.has_gap())
        });
        match gap {
            Some((upto, false)) => self.moved(upto),
            // Another process appended in between, or the ring is not begun.
            Some((_, true)) | None => self.0.look.notify_one(),
        }
    }

    /// From Kafka. What is missing below a record has `patience` to come.
    pub fn bring(&self, carried: impl IntoIterator<Item = Carried>, patience: Duration) -> Brought {
        let mut brought = Brought::default();
        let mut slot = self.slot();
        let Slot { ring: Some(ring), fill, brought: grown, lost_upto, .. } = &mut *slot else {
            return brought;
        };
        let before = ring.upto();
        // What can't wait.
        let mut lacks = None;
        for one in carried {
            match one {
                Carried::Event { event, .. } if lost_upto.is_some() || event.generation != ring.generation() => {
                    brought.foreign += 1;
                }
                Carried::Event { event, bytes } => match ring.take(Stretch::of_one(event, bytes)) {
                    Taken::Grew | Taken::Early => brought.taken += 1,
                    Taken::Known => brought.known += 1,
                    Taken::NoRoom => {
                        brought.no_room += 1;
                        lacks = lacks.max(Some(ring.highest()));
                    }
                },
                Carried::Undecodable(position) if position > ring.upto() => lacks = lacks.max(Some(position)),
                Carried::Undecodable(_) => {}
            }
        }
        let (upto, now) = (ring.upto(), Instant::now());
        let scheduled = *fill;
        let due = scheduled.filter(|fill| fill.is_due(now));
        if let Some(position) = lacks {
            *fill = Some(Fill { at: now, upto: due.map_or(position, |due| due.upto.max(position)) });
        } else if due.is_none() && !ring.has_gap() {
            *fill = None;
        } else if due.is_none() && (upto > before || fill.is_none()) {
            *fill = Some(Fill { at: now + patience, upto: ring.highest() });
        }
        let sooner = *fill != scheduled && fill.is_some();
        if upto > before {
            *grown += 1;
        }
        drop(slot);
        if upto > before {
            self.moved(upto);
        }
        if sooner {
            self.0.rescheduled.notify_one();
        }
        if brought.foreign > 0 {
            self.0.look.notify_one();
        }
        brought
    }

    /// From Postgres, in place of Kafka; how many positions nobody had brought.
    pub fn fill(&self, stretch: Stretch, patience: Duration) -> i64 {
        let mut slot = self.slot();
        let Slot { ring: Some(ring), fill, .. } = &mut *slot else { return 0 };
        let filled = ring.fill(stretch);
        let (upto, now) = (ring.upto(), Instant::now());
        // What can't wait may have come while this was read, and leaves no gap.
        let owed = fill.filter(|fill| fill.is_due(now) && fill.upto > upto);
        *fill = owed.or_else(|| ring.has_gap().then(|| Fill { at: now + patience, upto: ring.highest() }));
        drop(slot);
        self.moved(upto);
        filled
    }

    /// When and up to where the log is to be read, for what is missing below an early record.
    pub fn fill_wanted(&self) -> Option<Fill> {
        self.slot().fill
    }

    /// Wants the log looked at.
    pub fn look_again(&self) {
        self.0.look.notify_one();
    }

    /// Waits until somebody wants the log looked at.
    pub async fn look_wanted(&self) {
        self.0.look.notified().await;
    }

    /// Waits until [`Tail::fill_wanted`] is another.
    pub async fn rescheduled(&self) {
        self.0.rescheduled.notified().await;
    }

    /// None: there is no ring yet.
    pub fn mark(&self) -> Option<Mark> {
        let slot = self.slot();
        let ring = slot.ring.as_ref()?;
        Some(Mark { at: Instant::now(), upto: ring.upto(), highest: ring.highest(), brought: slot.brought })
    }

    /// What the ring is against a head that was asked for after `mark` was taken: begun anew where it is of another
    /// generation, or of a tail that the log has lost. Once the log has all the positions again that it had, what Kafka has is
    /// believed anew: it was a head that came from a server which was behind, or it is for the relay to compare.
    pub fn compare(&self, mark: Option<Mark>, head: Position, generation: Generation, limits: Limits) -> Standing {
        let mut slot = self.slot();
        let lost_before = slot.lost_upto;
        let lost_upto = match (&mut slot.ring, mark) {
            (Some(ring), Some(mark)) if ring.generation() == generation => {
                if mark.upto <= head {
                    if mark.highest > head {
                        let events = ring.forget_above(head);
                        tracing::warn!(events, %head, "events above the head of the log were brought, and are dropped");
                    }
                    let (upto, has_gap) = (ring.upto(), ring.has_gap());
                    // What can't be decoded leaves no gap in the ring; where it is above the head, the log has not got it.
                    let is_owed = |fill: &Fill| fill.upto > upto && (fill.upto <= head || fill.at > mark.at);
                    let highest = ring.highest();
                    let for_the_gap = |fill: Fill| has_gap.then_some(Fill { upto: highest, ..fill });
                    slot.fill = slot.fill.and_then(|fill| if is_owed(&fill) { Some(fill) } else { for_the_gap(fill) });
                    slot.lost_upto = lost_before.filter(|lost| head < *lost);
                    return Standing::Upto(upto);
                }
                tracing::error!(upto = %mark.upto, %head, "the log ends before what was followed: it has lost a tail");
                Some(lost_before.map_or(mark.upto, |before| before.max(mark.upto)))
            }
            _ => None,
        };
        slot.ring = Some(Ring::starting_at(head, generation, limits));
        slot.begun += 1;
        slot.fill = None;
        slot.lost_upto = lost_upto;
        drop(slot);
        // Also where the head is where it was: who waits has to look.
        self.0.moved.send_replace(head);
        Standing::Begun
    }

    /// Up to where the ring goes.
    pub fn upto(&self) -> Position {
        *self.0.moved.borrow()
    }

    fn moved(&self, upto: Position) {
        self.0.moved.send_if_modified(|seen| std::mem::replace(seen, upto) != upto);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_ring<T>(&self, with: impl FnOnce(&mut Ring) -> T) -> Option<T> {
        self.slot().ring.as_mut().map(with)
    }
}

#[cfg(test)]
mod tests;
