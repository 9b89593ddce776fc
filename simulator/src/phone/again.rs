//! When a phone comes back after its connection has ended: docs/websocket.md has the table.

use std::time::Duration;

use rand::Rng;

use crate::Backoff;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
const AFTER_A_FLOOD: Duration = Duration::from_secs(30);
const AFTER_TOO_SLOW: Duration = Duration::from_secs(5);
/// Longer ones than this are no server's that is about to come back.
const TOLD_MAX: Duration = Duration::from_secs(600);
const TOLD: &str = "reconnect_after_ms=";

/// How the end of a connection says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// After so long: the server has spread its clients, or the phone's owner wished it.
    After(Duration),
    /// At once, if it is the first time.
    AtOnce,
    /// After a random time, which grows.
    Later,
    /// No sooner than the first step of that.
    NotAtOnce,
}

impl Again {
    /// After a close frame.
    pub fn after_close(code: u16, reason: &str) -> Self {
        match code {
            1001 | 1012 => match reason.strip_prefix(TOLD).and_then(|wait| wait.parse().ok()) {
                Some(wait_ms) => Self::After(Duration::from_millis(wait_ms).min(TOLD_MAX)),
                None => Self::Later,
            },
            1008 => Self::After(AFTER_A_FLOOD),
            4001 | 4003 | 4007 | 4008 => Self::AtOnce,
            1013 => Self::NotAtOnce,
            4005 => Self::After(AFTER_TOO_SLOW),
            // To mend the client is beyond the client.
            _ => Self::Later,
        }
    }

    pub fn wait(self, backoff: &mut Backoff, rng: &mut impl Rng) -> Duration {
        let is_first = backoff.is_fresh();
        match self {
            Self::After(wait) => wait,
            Self::AtOnce => {
                let wait = backoff.next(rng);
                if is_first { Duration::ZERO } else { wait }
            }
            Self::Later => backoff.next(rng),
            Self::NotAtOnce => FIRST + backoff.next(rng),
        }
    }
}

/// Anywhere up to the step: of 100,000 that lost one server, as many come back in each moment of it.
pub fn backoff() -> Backoff {
    Backoff::spread_widely(FIRST, LONGEST)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn every_row_of_the_table_is_followed() {
        let mut rng = SmallRng::seed_from_u64(1);
        let s = Duration::from_secs;
        // Of each code: between what and what, at first and after that.
        let table = [
            (1001, "reconnect_after_ms=1234", (1.234, 1.234), (1.234, 1.234)),
            (1001, "", (0.0, 1.0), (0.0, 2.0)),
            (1001, "reconnect_after_ms=soon", (0.0, 1.0), (0.0, 2.0)),
            (1001, "reconnect_after_ms=9999999999999", (600.0, 600.0), (600.0, 600.0)),
            (1006, "", (0.0, 1.0), (0.0, 2.0)),
            (1008, "", (30.0, 30.0), (30.0, 30.0)),
            (1012, "reconnect_after_ms=1234", (1.234, 1.234), (1.234, 1.234)),
            (1013, "", (1.0, 2.0), (1.0, 3.0)),
            (4001, "", (0.0, 0.0), (0.0, 2.0)),
            (4003, "", (0.0, 0.0), (0.0, 2.0)),
            (4005, "", (5.0, 5.0), (5.0, 5.0)),
            (4007, "", (0.0, 0.0), (0.0, 2.0)),
            (4008, "", (0.0, 0.0), (0.0, 2.0)),
        ];
        for (code, reason, first, second) in table {
            let mut backoff = backoff();
            for (least_s, most_s) in [first, second] {
                let wait = Again::after_close(code, reason).wait(&mut backoff, &mut rng);
                let expected = Duration::from_secs_f64(least_s)..=Duration::from_secs_f64(most_s);
                assert!(expected.contains(&wait), "{code} {reason}: {wait:?} of {expected:?}");
            }
        }
        let mut backoff = backoff();
        let longest = (0..1_000).map(|_| Again::Later.wait(&mut backoff, &mut rng)).max();
        assert!(longest.is_some_and(|longest| (s(25)..=s(30)).contains(&longest)), "{longest:?}");
    }

    /// A server that dies says nothing: no tenth of the first second gets many more phones than another.
    #[test]
    fn phones_that_lost_one_server_do_not_come_at_once() {
        let mut tenths = [0_u32; 10];
        for phone in 0..100_000 {
            let wait = Again::Later.wait(&mut backoff(), &mut SmallRng::seed_from_u64(phone));
            tenths[usize::try_from(wait.as_millis() / 100).expect("small").min(9)] += 1;
        }
        assert!(tenths.iter().all(|phones| (9_500..10_500).contains(phones)), "{tenths:?}");
    }
}
