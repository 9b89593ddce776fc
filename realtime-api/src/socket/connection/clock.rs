//! The deadlines of a socket: who is silent, slow or without a good token is not kept for ever.
//!
//! No timer of its own: the connection asks when to be woken, and what is due then.

use std::time::{Duration, Instant};

use crate::config::Limits;
use crate::socket::close::Close;

/// When what happened.
#[derive(Debug)]
pub struct Clock {
    opened_at: Instant,
    /// When the client last said anything, if only a pong.
    heard_at: Instant,
    pinged_at: Option<Instant>,
    /// Since when nothing could be written of what is queued.
    blocked_since: Option<Instant>,
    /// When we closed it; from then on only its end is waited for.
    closing_since: Option<Instant>,
}

/// What is to be done because time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Ping,
    Close(Close),
    /// The client did not end what we had closed.
    End,
}

impl Clock {
    pub fn new(now: Instant) -> Self {
        Self { opened_at: now, heard_at: now, pinged_at: None, blocked_since: None, closing_since: None }
    }

    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    pub fn pinged(&mut self, now: Instant) {
        self.pinged_at = Some(now);
    }

    /// Everything queued was written.
    pub fn written(&mut self) {
        self.blocked_since = None;
    }

    /// Not everything queued could be written, though perhaps something.
    pub fn blocked(&mut self, progress: bool, now: Instant) {
        if progress || self.blocked_since.is_none() {
            self.blocked_since = Some(now);
        }
    }

    pub fn closing(&mut self, now: Instant) {
        self.closing_since = Some(now);
    }

    pub fn is_closing(&self) -> bool {
        self.closing_since.is_some()
    }

    /// What is due now. `token_left`: for how long the token is good; none: there is none yet.
    pub fn due(&self, now: Instant, limits: &Limits, token_left: Option<Duration>) -> Option<Due> {
        let past = |since: Instant, limit: Duration| now.duration_since(since) >= limit;
        if let Some(since) = self.closing_since {
            return past(since, limits.close_wait).then_some(Due::End);
        }
        if self.blocked_since.is_some_and(|since| past(since, limits.slow_max)) {
            return Some(Due::Close(Close::TooSlow));
        }
        match token_left {
            None if past(self.opened_at, limits.auth_wait) => return Some(Due::Close(Close::AuthTimeout)),
            Some(Duration::ZERO) => return Some(Due::Close(Close::TokenExpired)),
            None | Some(_) => {}
        }
        if past(self.heard_at, limits.idle_max) {
            return Some(Due::Close(Close::Idle));
        }
        let silent = past(self.heard_at, limits.ping_after);
        (silent && self.pinged_at.is_none_or(|at| past(at, limits.ping_after))).then_some(Due::Ping)
    }

    /// After how long something may be due.
    pub fn next(&self, now: Instant, limits: &Limits, token_left: Option<Duration>) -> Duration {
        let until = |since: Instant, limit: Duration| (since + limit).saturating_duration_since(now);
        let wait = match (self.closing_since, token_left) {
            (Some(since), _) => until(since, limits.close_wait),
            (None, None) => until(self.opened_at, limits.auth_wait),
            (None, Some(token)) => {
                let ping = match self.pinged_at {
                    Some(at) => until(at, limits.ping_after).min(until(self.heard_at, limits.idle_max)),
                    None => until(self.heard_at, limits.ping_after),
                };
                token.min(ping)
            }
        };
        self.blocked_since.map_or(wait, |since| wait.min(until(since, limits.slow_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn limits() -> Limits {
        Limits {
            auth_wait: S(10),
            ping_after: S(30),
            idle_max: S(70),
            slow_max: S(20),
            close_wait: S(5),
            ..Limits::default()
        }
    }

    /// Each row: what happened when, how long the token is good, when it is looked at, and what is due.
    #[test]
    fn what_is_due_when() {
        let start = Instant::now();
        let at = |second| start + S(second);
        let nothing: fn(&mut Clock, Instant) = |_, _| {};
        let table = [
            ("nobody yet", nothing, None, 9, None),
            ("nobody at all", nothing, None, 10, Some(Due::Close(Close::AuthTimeout))),
            ("a good token", nothing, Some(S(900)), 29, None),
            ("silent", nothing, Some(S(900)), 30, Some(Due::Ping)),
            ("asked already", |clock, start| clock.pinged(start + S(30)), Some(S(900)), 59, None),
            ("asked again", |clock, start| clock.pinged(start + S(30)), Some(S(900)), 60, Some(Due::Ping)),
            (
                "never answered",
                |clock, start| clock.pinged(start + S(60)),
                Some(S(900)),
                70,
                Some(Due::Close(Close::Idle)),
            ),
            ("answered", |clock, start| clock.heard(start + S(31)), Some(S(900)), 60, None),
            ("the token has ended", nothing, Some(S(0)), 1, Some(Due::Close(Close::TokenExpired))),
            ("blocked", |clock, start| clock.blocked(false, start), Some(S(900)), 19, None),
            ("slow", |clock, start| clock.blocked(false, start), Some(S(900)), 20, Some(Due::Close(Close::TooSlow))),
            (
                "slow goes before the token",
                |clock, start| clock.blocked(false, start),
                None,
                20,
                Some(Due::Close(Close::TooSlow)),
            ),
            ("closed", |clock, start| clock.closing(start), None, 4, None),
            ("closed, and not ended by the client", |clock, start| clock.closing(start), None, 5, Some(Due::End)),
        ];
        for (what, happened, token_left, second, expected) in table {
            let mut clock = Clock::new(start);
            happened(&mut clock, start);
            assert_eq!(clock.due(at(second), &limits(), token_left), expected, "{what}");
        }
    }

    #[test]
    fn progress_begins_the_wait_anew_and_another_block_does_not() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        clock.blocked(false, start);
        clock.blocked(false, start + S(15));
        assert_eq!(clock.next(start + S(15), &limits(), Some(S(900))), S(5));
        clock.blocked(true, start + S(15));
        assert_eq!(clock.next(start + S(15), &limits(), Some(S(900))), S(15), "the ping comes first");
        assert_eq!(clock.due(start + S(34), &limits(), Some(S(900))), Some(Due::Ping));
        assert_eq!(clock.due(start + S(35), &limits(), Some(S(900))), Some(Due::Close(Close::TooSlow)));
        clock.written();
        assert_eq!(clock.due(start + S(35), &limits(), Some(S(900))), Some(Due::Ping));
    }

    /// Woken when told, something is due; a moment before, nothing is.
    #[test]
    fn the_alarm_is_for_the_first_deadline() {
        let start = Instant::now();
        let mut pinged = Clock::new(start);
        pinged.pinged(start + S(30));
        let mut closing = Clock::new(start);
        closing.closing(start);
        let rows =
            [(Clock::new(start), None), (Clock::new(start), Some(S(900))), (pinged, Some(S(900))), (closing, None)];
        for (clock, token_left) in rows {
            let from = clock.pinged_at.unwrap_or(start);
            let wait = clock.next(from, &limits(), token_left);
            assert!(clock.due(from + wait, &limits(), token_left).is_some(), "{clock:?}");
            assert_eq!(clock.due(from + wait - Duration::from_millis(1), &limits(), token_left), None, "{clock:?}");
        }
    }
}
