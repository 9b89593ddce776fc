//! A timing wheel: the deadlines of all sockets of a shard with one timer between them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::mailbox::Mailbox;

/// How finely deadlines are kept: a socket is called up to this much late.
pub const WHEEL_TICK: Duration = Duration::from_millis(250);
const SLOTS: u32 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u32);

#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<(Tick, Arc<Mailbox>)>>,
    now: Tick,
}

impl Wheel {
    pub fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now: Tick(0) }
    }

    /// Calls the mailbox after `wait`, at most once round the wheel (two minutes). A later call replaces an earlier one.
    pub fn schedule(&mut self, mailbox: &Arc<Mailbox>, wait: Duration) {
        let ticks = wait.as_millis().div_ceil(WHEEL_TICK.as_millis());
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).clamp(1, SLOTS - 1);
        let at = Tick(self.now.0 + ticks);
        mailbox.alarm_at.store(at.0, Ordering::Relaxed);
        self.slots[(at.0 % SLOTS) as usize].push((at, mailbox.clone()));
    }

    /// One tick on: the mailboxes to be called now. Those that have been scheduled anew since, or closed, are let go.
    pub fn turn(&mut self) -> Vec<Arc<Mailbox>> {
        self.now.0 += 1;
        let due = std::mem::take(&mut self.slots[(self.now.0 % SLOTS) as usize]);
        due.into_iter().filter(|(at, mailbox)| mailbox.wants_alarm_at(*at)).map(|(_, mailbox)| mailbox).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deadline_counts() {
        let mut wheel = Wheel::new();
        let (one, two) = (Arc::new(Mailbox::new(1)), Arc::new(Mailbox::new(2)));
        wheel.schedule(&one, WHEEL_TICK);
        wheel.schedule(&two, WHEEL_TICK);
        wheel.schedule(&two, WHEEL_TICK * 3);
        let numbers = |due: Vec<Arc<Mailbox>>| due.iter().map(|mailbox| mailbox.number()).collect::<Vec<_>>();
        assert_eq!(numbers(wheel.turn()), [1]);
        assert!(wheel.turn().is_empty());
        assert_eq!(numbers(wheel.turn()), [2]);
        wheel.schedule(&one, Duration::from_secs(100_000));
        assert!((0..SLOTS - 2).all(|_| wheel.turn().is_empty()), "not before a whole turn");
        assert_eq!(numbers(wheel.turn()), [1]);
    }
}
