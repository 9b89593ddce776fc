//! Whether the process stood still: a machine that was suspended, a container that was paused. Whoever wakes from that must not
//! go on as if nothing had happened: its chargers may have moved to another edge, and what it was about to send them may have
//! been ended there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const BEAT_EVERY: Duration = Duration::from_millis(250);
/// A longer silence is taken for a standstill. A busy machine may come near; then it is asked once more often than needed.
const SILENCE_MAX: Duration = Duration::from_secs(2);

pub struct Pulse(Mutex<Beats>);

struct Beats {
    last: Instant,
    standstills: u64,
}

impl Pulse {
    pub fn new() -> Self {
        Self(Mutex::new(Beats { last: Instant::now(), standstills: 0 }))
    }

    /// How often the process has stood still so far. A change means that what is known may be old, whoever asks first.
    pub fn standstills(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> u64 {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(beats.last) > SILENCE_MAX {
            beats.standstills += 1;
        }
        beats.last = beats.last.max(now);
        beats.standstills
    }

    /// For ever: without it an idle process would seem to have stood still.
    pub async fn keep(&self) {
        let mut known = 0;
        loop {
            let standstills = self.standstills();
            if standstills != known {
                tracing::warn!(
                    standstills,
                    "the process stood still; chargers may have moved to other edges meanwhile"
                );
                metrics::counter!("coulomb_ocpp_edge_standstills_total").absolute(standstills);
                known = standstills;
            }
            tokio::time::sleep(BEAT_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_counted_once_and_seen_by_all_who_ask_after_it() {
        let pulse = Pulse::new();
        let start = pulse.0.lock().unwrap().last;
        let at = |ms| pulse.at(start + Duration::from_millis(ms));
        assert_eq!([at(250), at(2_000), at(4_000)], [0, 0, 0]);
        assert_eq!([at(6_001), at(6_001), at(6_100)], [1, 1, 1]);
        assert_eq!(at(5_000), 1, "another thread's clock was read before");
        assert_eq!(at(9_000), 2);
    }
}
