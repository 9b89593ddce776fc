//! Whether the process stood still: a machine that was suspended, a container that was paused. Whoever wakes from that must not
//! go on as if nothing had happened: its chargers may have moved to another edge, and what it was about to send them may have
//! been ended there.
//!
//! Two clocks are looked at, as neither sees everything. The one since boot goes on while a Linux system sleeps, which the
//! monotonic clock of [`std::time::Instant`] does not; but a machine that its hypervisor pauses may be without that time in it.
//! There the time of day jumps, once it is set right again. That it also jumps when somebody sets it costs a question at the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

const BEAT_EVERY: Duration = Duration::from_millis(250);
/// A longer silence is taken for a standstill. A busy machine may come near; then it is asked once more often than needed.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Goes on while the system sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
/// Elsewhere this one does.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

pub struct Pulse(Mutex<Beats>);

struct Beats {
    last: Clocks,
    standstills: u64,
}

/// What two clocks show.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    since_boot: Duration,
    time_of_day: SystemTime,
}

impl Clocks {
    fn read() -> Self {
        // Linux has had it since 2.6.39. Where it can't be read the time of day is left.
        let since_boot = clock_gettime(SINCE_BOOT).map_or(Duration::ZERO, Duration::from);
        Self { since_boot, time_of_day: SystemTime::now() }
    }

    /// By the clock that shows more of it. A time of day that was set back shows nothing.
    fn since(self, earlier: Self) -> Duration {
        let by_day = self.time_of_day.duration_since(earlier.time_of_day).unwrap_or_default();
        self.since_boot.saturating_sub(earlier.since_boot).max(by_day)
    }
}

impl Pulse {
    pub fn new() -> Self {
        Self::at(Clocks::read())
    }

    fn at(start: Clocks) -> Self {
        Self(Mutex::new(Beats { last: start, standstills: 0 }))
    }

    /// How often the process has stood still so far. A change means that what is known may be old, whoever asks first.
    pub fn standstills(&self) -> u64 {
        self.beat(Clocks::read)
    }

    /// The clocks are read by one after another: none is behind what another has left.
    fn beat(&self, read: impl FnOnce() -> Clocks) -> u64 {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = read();
        if now.since(beats.last) > SILENCE_MAX {
            beats.standstills += 1;
        }
        beats.last = now;
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

    /// So many milliseconds after the start, by each clock.
    struct Told {
        pulse: Pulse,
        start: Clocks,
    }

    impl Told {
        fn new() -> Self {
            let start = Clocks { since_boot: Duration::from_secs(1000), time_of_day: SystemTime::UNIX_EPOCH };
            let start = Clocks { time_of_day: start.time_of_day + Duration::from_secs(1_800_000_000), ..start };
            Self { pulse: Pulse::at(start), start }
        }

        fn at(&self, boot_ms: u64, day_ms: u64) -> u64 {
            self.pulse.beat(|| Clocks {
                since_boot: self.start.since_boot + Duration::from_millis(boot_ms),
                time_of_day: self.start.time_of_day + Duration::from_millis(day_ms),
            })
        }
    }

    #[test]
    fn a_standstill_is_counted_once_and_seen_by_all_who_ask_after_it() {
        let told = Told::new();
        assert_eq!([250, 2_000, 4_000].map(|ms| told.at(ms, ms)), [0, 0, 0]);
        assert_eq!([6_001, 6_001, 6_100].map(|ms| told.at(ms, ms)), [1, 1, 1]);
        assert_eq!(told.at(9_000, 9_000), 2);
    }

    #[test]
    fn either_clock_is_enough() {
        let told = Told::new();
        assert_eq!(told.at(30_000, 10), 1, "asleep, and the time of day is not set right yet");
        assert_eq!(told.at(30_010, 30_010), 2, "now it is: asked once more often than needed");
        assert_eq!(told.at(30_020, 60_020), 3, "paused by a hypervisor: the time since boot has stood still as well");
    }

    #[test]
    fn a_time_of_day_that_is_set_back_hides_nothing() {
        let told = Told::new();
        told.at(3_600_000, 3_600_000);
        assert_eq!(told.at(3_600_010, 10), 1, "it was set back by an hour");
        assert_eq!(told.at(3_603_010, 20), 2, "a standstill by the time since boot");
        assert_eq!(told.at(3_603_020, 3_030), 3, "a standstill by the time of day, which is behind where it was");
    }

    /// As the monotonic clock, with what that one leaves out.
    #[test]
    fn the_clock_goes_on_at_least_as_the_monotonic_one_does() {
        let (earlier, began) = (Clocks::read(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let passed = began.elapsed();
        let since_boot = Clocks::read().since_boot.saturating_sub(earlier.since_boot);
        assert!(since_boot >= passed, "{since_boot:?} {passed:?}");
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert_eq!(SINCE_BOOT, ClockId::CLOCK_BOOTTIME);
    }
}
