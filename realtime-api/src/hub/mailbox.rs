//! Where the hub leaves what a socket is to send, and how it is called.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::inbox::Inbox;
use super::wheel::Tick;

/// Why a socket is called. Several may stand at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(u8);

impl Signal {
    pub const NONE: Self = Self(0);
    /// Something waits in the inbox.
    pub const MAIL: Self = Self(1);
    /// A deadline may have passed.
    pub const ALARM: Self = Self(2);
    /// The process is ending: close, and say when to come back.
    pub const DRAIN: Self = Self(4);
    /// The log has another history now: nothing the client holds is certain.
    pub const RESET: Self = Self(8);
    /// Somebody was erased: perhaps the one whose it is.
    pub const ERASURE: Self = Self(16);

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it was called for this; not any more then.
    pub const fn take(&mut self, other: Self) -> bool {
        let called = self.0 & other.0 != 0;
        self.0 &= !other.0;
        called
    }
}

/// One for each connection, shared by its task and its shard. The lock is held for moments only, and never over an await.
#[derive(Debug)]
pub struct Mailbox {
    number: u64,
    inbox: Mutex<Inbox>,
    signals: AtomicU8,
    waker: AtomicWaker,
    /// The tick of the wheel at which it wants to be called; 0: none.
    pub(super) alarm_at: AtomicU32,
    /// The last span of the pacer in which it was called for mail.
    pub(super) called_in: AtomicU32,
}

impl Mailbox {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            inbox: Mutex::default(),
            signals: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            alarm_at: AtomicU32::new(0),
            called_in: AtomicU32::new(0),
        }
    }

    /// Unique in the process.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn call(&self, signal: Signal) {
        self.signals.fetch_or(signal.0, Ordering::Release);
        self.waker.wake();
    }

    /// What it was called for since the last time. Later calls wake `waker`.
    pub fn answer(&self, waker: &Waker) -> Signal {
        self.waker.register(waker);
        Signal(self.signals.swap(0, Ordering::Acquire))
    }

    pub(super) fn wants_alarm_at(&self, tick: Tick) -> bool {
        self.alarm_at.load(Ordering::Relaxed) == tick.0
    }
}
