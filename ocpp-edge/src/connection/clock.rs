//! When what a charger reports happened, and whether it was reported as it happened.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::{Delivery, DeviceClock, DeviceTime};
use domain::envelope::ReportTimes;
use tokio::time::Instant;

/// A charger sends what it has kept as fast as it is answered. Once it has paused for so long, it has nothing left.
const QUEUE_DRAINED_AFTER: Duration = Duration::from_secs(5);
/// A message that was not older than this when it came is as good as live.
const LIVE_AGE_MAX_S: i64 = 120;
/// A charger's clock may be behind ours by so much and still be called right.
const TOLERANCE_S: i64 = 30;

/// The clock of a connected charger.
///
/// A report is *queued* (kept while the charger was offline) if it comes before the charger has paused for the first time on
/// this connection, and its device time is before the connection, or none can be read. Later, if the skew is known and says
/// that the report is minutes old. All others are *live*. So a clock ahead of ours is learned from the first message on, and
/// one behind ours once the charger has paused: before that, its live messages can't be told from queued ones, and a wrong
/// skew would spoil the times of a whole offline session.
#[derive(Debug)]
pub struct ReportClock {
    clock: DeviceClock,
    connected_at: DateTime<Utc>,
    answered: Instant,
    has_paused: bool,
}

/// What was found out about a report.
#[derive(Debug, Clone)]
pub struct Timed {
    pub times: ReportTimes,
    pub delivery: Delivery,
}

impl ReportClock {
    pub fn new(connected_at: DateTime<Utc>, now: Instant) -> Self {
        Self { clock: DeviceClock::default(), connected_at, answered: now, has_paused: false }
    }

    /// A message has come.
    pub fn heard(&mut self, now: Instant) {
        self.has_paused |= now.saturating_duration_since(self.answered) >= QUEUE_DRAINED_AFTER;
    }

    /// It was answered.
    pub fn answered(&mut self, now: Instant) {
        self.answered = now;
    }

    /// A charger that has booted may have another time than before.
    pub fn booted(&mut self) {
        self.clock.forget();
    }

    /// A report of a kind that has a device time, with it, where it is there.
    pub fn time(&mut self, device_at: Option<&str>, received_at: DateTime<Utc>) -> Timed {
        let device = device_at.map(DeviceTime::parse);
        let delivery = self.delivery(device.as_ref(), received_at);
        if let Some(device) = &device {
            self.clock.learn(device, received_at, delivery);
        }
        let occurred = self.clock.occurred_at(device.as_ref(), received_at, delivery, None);
        let times = ReportTimes {
            received_at,
            device_at: device_at.map(str::to_owned),
            occurred_at: occurred.at,
            source: occurred.source,
        };
        Timed { times, delivery }
    }

    /// When a reading within a report was taken. It teaches nothing.
    pub fn occurred_at(
        &self,
        device_at: Option<&str>,
        received_at: DateTime<Utc>,
        delivery: Delivery,
    ) -> Option<DateTime<Utc>> {
        self.clock.occurred_at(device_at.map(DeviceTime::parse).as_ref(), received_at, delivery, None).at
    }

    fn delivery(&self, device: Option<&DeviceTime>, received_at: DateTime<Utc>) -> Delivery {
        let device_at = device.and_then(|device| device.at);
        let is_live = match (self.has_paused, device_at, self.clock.skew_ms()) {
            (true, Some(at), Some(skew_ms)) => {
                received_at - at - TimeDelta::milliseconds(skew_ms) <= TimeDelta::seconds(LIVE_AGE_MAX_S)
            }
            (true, _, _) => true,
            (false, Some(at), _) => at >= self.connected_at - TimeDelta::seconds(TOLERANCE_S),
            (false, None, _) => false,
        };
        if is_live { Delivery::Live } else { Delivery::Queued }
    }
}

#[cfg(test)]
mod tests {
    use domain::clock::TimeSource;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DeviceTime::parse(text).at.unwrap()
    }

    const CONNECTED: &str = "2026-03-01T12:00:00Z";

    /// A clock that has heard reports of these device times at 12:00:01, with or without a pause before the last.
    fn last_of(device_times: &[&str], pause_before_last: bool) -> Timed {
        let start = Instant::now();
        let mut clock = ReportClock::new(at(CONNECTED), start);
        let mut last = None;
        for (index, device_at) in device_times.iter().enumerate() {
            let paused = pause_before_last && index + 1 == device_times.len();
            let now = if paused { start + QUEUE_DRAINED_AFTER } else { start };
            clock.heard(now);
            let device_at = Some(*device_at).filter(|text| !text.is_empty());
            last = Some(clock.time(device_at, at("2026-03-01T12:00:01Z")));
            clock.answered(now);
        }
        last.unwrap()
    }

    #[test]
    fn what_was_kept_offline_is_told_from_what_is_live() {
        use Delivery::{Live, Queued};
        use TimeSource::{Device, DeviceCorrected, Received, Unknown};
        type Row<'a> = (&'a str, &'a [&'a str], bool, Delivery, Option<&'a str>, TimeSource);
        #[rustfmt::skip]
        let table: [Row; 11] = [
            ("live at once", &["2026-03-01T12:00:01Z"], false, Live, Some("2026-03-01T12:00:01Z"), Device),
            ("a little behind", &["2026-03-01T11:59:40Z"], false, Live, Some("2026-03-01T11:59:40Z"), Device),
            ("eight hours offline", &["2026-03-01T04:00:00Z"], false, Queued, Some("2026-03-01T04:00:00Z"), Device),
            ("offline, then live", &["2026-03-01T04:00:00Z", "2026-03-01T12:00:01Z"], false, Live, Some("2026-03-01T12:00:01Z"), Device),
            ("two hours ahead, live", &["2026-03-01T14:00:01Z"], false, Live, Some("2026-03-01T12:00:01Z"), DeviceCorrected),
            ("two hours ahead, then kept", &["2026-03-01T14:00:01Z", "2026-03-01T06:00:00Z"], false, Queued, Some("2026-03-01T04:00:00Z"), DeviceCorrected),
            ("behind, in the burst: not known to be live", &["2026-03-01T10:00:01Z"], false, Queued, Some("2026-03-01T10:00:01Z"), Device),
            ("behind, after a pause", &["2026-03-01T10:00:01Z", "2026-03-01T10:00:01Z"], true, Live, Some("2026-03-01T12:00:01Z"), DeviceCorrected),
            ("1970 in the burst", &["1970-01-01T00:01:00Z"], false, Queued, None, Unknown),
            ("1970 after a pause", &["1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z"], true, Live, Some("2026-03-01T12:00:01Z"), Received),
            ("no time after a pause", &["", ""], true, Live, Some("2026-03-01T12:00:01Z"), Received),
        ];
        for (case, device_times, pause, delivery, occurred_at, source) in table {
            let timed = last_of(device_times, pause);
            assert_eq!(timed.delivery, delivery, "{case}");
            assert_eq!((timed.times.occurred_at, timed.times.source), (occurred_at.map(at), source), "{case}");
        }
    }

    #[test]
    fn a_message_that_was_retried_for_long_is_not_live() {
        let timed = last_of(&["2026-03-01T12:00:01Z", "2026-03-01T11:50:00Z"], true);
        assert_eq!(timed.delivery, Delivery::Queued);
        assert_eq!(timed.times.occurred_at, Some(at("2026-03-01T11:50:00Z")));
    }
}
