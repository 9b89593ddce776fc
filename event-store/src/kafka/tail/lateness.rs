//! What Kafka owes, and since when: the same for the ring and for station commands.

use std::time::{Duration, Instant};

use schema::log::Position;

/// A consumer that has brought nothing for so long, while the log went on, is replaced; the next one has twice as long.
const RENEW_AFTER_MIN: Duration = Duration::from_secs(30);
const RENEW_AFTER_MAX: Duration = Duration::from_secs(480);

#[derive(Debug)]
pub(crate) struct Lateness {
    patience: Duration,
    /// A head that was not reached yet when it was seen.
    owed: Option<(Position, Instant)>,
    /// What had been brought when Postgres was last read in place of Kafka.
    at_fill: Option<u64>,
    /// It was read twice, and nothing came in between: nothing is waited for until something comes.
    silent: bool,
}

impl Lateness {
    pub fn new(patience: Duration) -> Self {
        Self { patience, owed: None, at_fill: None, silent: false }
    }

    /// Whether what is missing up to the head is to be read now. `brought` rises with what Kafka brings.
    pub fn is_overdue(&mut self, reached: Position, head: Position, brought: u64, now: Instant) -> bool {
        if self.at_fill.is_some_and(|at_fill| at_fill != brought) {
            (self.at_fill, self.silent) = (None, false);
        }
        if reached >= head {
            self.owed = None;
            return false;
        }
        match self.owed {
            Some((owed, since)) if reached < owed => {
                self.silent || now.saturating_duration_since(since) >= self.patience
            }
            _ => {
                self.owed = Some((head, now));
                self.silent
            }
        }
    }

    /// Postgres was read up to the head.
    pub fn filled(&mut self, brought: u64) {
        self.owed = None;
        self.silent = self.at_fill == Some(brought);
        self.at_fill = Some(brought);
    }

    /// When something is overdue that was not brought by then.
    pub fn due_at(&self) -> Option<Instant> {
        self.owed.map(|(_, since)| since + self.patience)
    }

    pub fn is_silent(&self) -> bool {
        self.silent
    }
}

/// Sees a client that does not come back by itself.
#[derive(Debug)]
pub(crate) struct Watchdog {
    heard: u64,
    since: Instant,
    patience: Duration,
}

impl Watchdog {
    pub fn new(now: Instant) -> Self {
        Self { heard: 0, since: now, patience: RENEW_AFTER_MIN }
    }

    /// Whether the consumer is to be replaced. `heard`: how many records it has brought so far.
    pub fn barks(&mut self, silent: bool, heard: u64, now: Instant) -> bool {
        if !silent || heard != self.heard {
            *self = Self { heard, ..Self::new(now) };
            return false;
        }
        let barks = now.saturating_duration_since(self.since) >= self.patience;
        if barks {
            self.since = now;
            self.patience = (self.patience * 2).min(RENEW_AFTER_MAX);
        }
        barks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    #[test]
    fn what_is_owed_has_time_to_come_and_nothing_is_waited_for_while_kafka_is_silent() {
        let (mut lateness, start) = (Lateness::new(PATIENCE), Instant::now());
        let at = |n: u32| start + PATIENCE / 10 * n;
        let mut overdue = |reached, head, brought, n| {
            let is = lateness.is_overdue(Position(reached), Position(head), brought, at(n));
            if is {
                lateness.filled(brought);
            }
            is
        };
        assert!(!overdue(5, 10, 3, 0), "seen just now");
        assert!(!overdue(9, 12, 4, 9), "not yet");
        assert!(!overdue(10, 14, 5, 10), "what was owed has come; more is owed from now on");
        assert!(!overdue(12, 15, 5, 19));
        assert!(overdue(13, 15, 5, 20), "14 has not come in time");
        assert!(!overdue(15, 16, 5, 30), "it may be an accident");
        assert!(overdue(15, 16, 5, 40));
        assert!(overdue(16, 17, 5, 41), "nothing comes at all: at once");
        assert!(!overdue(17, 18, 6, 42), "something came");
    }

    #[test]
    fn a_silent_consumer_is_replaced_less_and_less_often() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        let mut barks = |silent, heard, seconds| watchdog.barks(silent, heard, start + Duration::from_secs(seconds));
        assert!(!barks(false, 7, 40), "nothing is missing");
        assert!(!barks(true, 7, 69));
        assert!(barks(true, 7, 70));
        assert!(!barks(true, 7, 129));
        assert!(barks(true, 7, 130));
        assert!(!barks(true, 8, 500), "it does bring something");
        assert!(barks(true, 8, 530));
    }
}
