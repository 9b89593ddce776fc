//! What is known about the clock of one charger, and the decision when a report's subject happened.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};

use super::DeviceTime;

/// Live messages whose skew is remembered.
const SAMPLES_MAX: usize = 8;
/// A clock this close to ours is right: the difference is the network's and the charger's own delay.
const SKEW_TOLERATED_S: i64 = 30;
/// A clock further off than any mistaken time zone is not corrected, it is not believed.
const SKEW_CORRECTED_MAX_S: i64 = 26 * 3600;
/// No charger reported anything in OCPP JSON before this; clocks that were never set show 1970 or 2000.
const EARLIEST_YEAR: i32 = 2016;

/// How a report came: skew is learned from live ones only, never from queued ones (an eight-hour offline session
/// arrives in three seconds). Only the caller can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Sent as it happened, so its receipt is close to its time.
    Live,
    /// Kept by the charger while it was offline, or not known to be live.
    Queued,
}

/// Which clock an `occurred_at` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The charger's own time, as it wrote it.
    Device,
    /// The charger's time, moved by the skew learned from its live messages.
    DeviceCorrected,
    /// Our time of receipt: a live report without a credible time.
    Received,
    /// Nobody knows: a queued report without a credible time.
    Unknown,
}

impl TimeSource {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::DeviceCorrected => "device_corrected",
            Self::Received => "received",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Device, Self::DeviceCorrected, Self::Received, Self::Unknown]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

/// When something happened, and how that is known.
///
/// Stored as `{"at":"2024-05-01T10:00:00Z","source":"device"}`. `at` is `None` exactly when the source is `unknown`; then a
/// session is flagged and priced on energy alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccurredAt {
    pub at: Option<DateTime<Utc>>,
    pub source: TimeSource,
}

/// The skew of a charger's clock, as far as its live messages showed it. State of an aggregate or of its socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClock {
    /// Receipt minus device time of the last live messages, oldest first. The least on which two of them agree counts: a
    /// stamp can be older than its message (a status that changed a while ago), hardly newer; and one message alone,
    /// stamped ahead, moves no clock.
    skews_ms: VecDeque<i64>,
}

impl DeviceClock {
    /// Milliseconds to add to the device's time; `None` as long as no live message with a credible time has come.
    #[must_use]
    pub fn skew_ms(&self) -> Option<i64> {
        let mut skews_ms: Vec<i64> = self.skews_ms.iter().copied().collect();
        skews_ms.sort_unstable();
        let agreed = skews_ms.windows(2).find(|pair| pair[1] - pair[0] <= SKEW_TOLERATED_S * 1000);
        agreed.map(|pair| pair[0]).or_else(|| skews_ms.get(skews_ms.len().saturating_sub(1) / 2).copied())
    }

    /// A charger that has booted may have another time than before.
    pub fn forget(&mut self) {
        self.skews_ms.clear();
    }

    /// Learns from a live report; call it before [`occurred_at`](Self::occurred_at) of the same report. Queued reports and incredible times teach nothing.
    pub fn learn(&mut self, device: &DeviceTime, received_at: DateTime<Utc>, delivery: Delivery) {
        let Some(at) = device.at else { return };
        let skew = received_at - at;
        if delivery == Delivery::Queued || at < earliest() || skew.num_seconds().abs() > SKEW_CORRECTED_MAX_S {
            return;
        }
        if self.skews_ms.len() == SAMPLES_MAX {
            self.skews_ms.pop_front();
        }
        self.skews_ms.push_back(skew.num_milliseconds());
    }

    /// Decides when the subject of a report happened. `not_before` is a moment that is known to be earlier (the
    /// charger's registration or last boot, the start of the session that is stopped).
    ///
    /// A device time is believed if, after correction, it lies between `not_before` and the receipt (give or take
    /// 30 s). Otherwise a live report happened when it was received, and of a queued one nobody knows.
    #[must_use]
    pub fn occurred_at(
        &self,
        device: Option<&DeviceTime>,
        received_at: DateTime<Utc>,
        delivery: Delivery,
        not_before: Option<DateTime<Utc>>,
    ) -> OccurredAt {
        let tolerance = TimeDelta::seconds(SKEW_TOLERATED_S);
        let believed = device.and_then(|device| device.at).filter(|at| *at >= earliest()).and_then(|at| {
            let (at, source) = self.corrected(at)?;
            let late_enough = not_before.is_none_or(|not_before| at >= not_before - tolerance);
            (late_enough && at <= received_at + tolerance).then_some(OccurredAt { at: Some(at), source })
        });
        believed.unwrap_or(match delivery {
            Delivery::Live => OccurredAt { at: Some(received_at), source: TimeSource::Received },
            Delivery::Queued => OccurredAt { at: None, source: TimeSource::Unknown },
        })
    }

    fn corrected(&self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, TimeSource)> {
        match self.skew_ms() {
            Some(skew_ms) if skew_ms.abs() > SKEW_TOLERATED_S * 1000 => {
                let corrected = at.checked_add_signed(TimeDelta::milliseconds(skew_ms))?;
                Some((corrected, TimeSource::DeviceCorrected))
            }
            _ => Some((at, TimeSource::Device)),
        }
    }
}

fn earliest() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(EARLIEST_YEAR, 1, 1, 0, 0, 0).single().expect("the first of January is a day of every year")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DeviceTime::parse(text).at.unwrap()
    }

    const NOW: &str = "2024-05-01T10:00:00Z";

    fn taught(live: &[&str]) -> DeviceClock {
        let mut clock = DeviceClock::default();
        for text in live {
            clock.learn(&DeviceTime::parse(text), at(NOW), Delivery::Live);
        }
        clock
    }

    #[test]
    fn decides_which_clock_counts() {
        use Delivery::{Live, Queued};
        use TimeSource::{Device, DeviceCorrected, Received, Unknown};
        let local_time_as_utc = "2024-05-01T12:00:00Z";
        // Case, live messages before, device time, delivery, not before; expected moment and source.
        type Row<'a> = (&'a str, &'a [&'a str], &'a str, Delivery, Option<&'a str>, Option<&'a str>, TimeSource);
        #[rustfmt::skip]
        let table: [Row; 14] = [
            ("a good clock", &[], "2024-05-01T09:59:59Z", Live, None, Some("2024-05-01T09:59:59Z"), Device),
            ("a little ahead", &[], "2024-05-01T10:00:20Z", Live, None, Some("2024-05-01T10:00:20Z"), Device),
            ("queued, nothing learned", &[], "2024-05-01T02:00:00Z", Queued, None, Some("2024-05-01T02:00:00Z"), Device),
            ("queued, a good clock", &["2024-05-01T09:59:58Z"], "2024-05-01T02:00:00Z", Queued, None, Some("2024-05-01T02:00:00Z"), Device),
            ("local time as UTC, live", &[local_time_as_utc], "2024-05-01T12:00:00Z", Live, None, Some(NOW), DeviceCorrected),
            ("local time as UTC, queued", &[local_time_as_utc], "2024-05-01T04:00:00Z", Queued, None, Some("2024-05-01T02:00:00Z"), DeviceCorrected),
            ("a stale stamp teaches no skew", &["2024-05-01T07:00:00Z", "2024-05-01T09:59:58Z"], "2024-05-01T02:00:00Z", Queued, None, Some("2024-05-01T02:00:00Z"), Device),
            ("1970, live", &[], "1970-01-01T00:00:10Z", Live, None, Some(NOW), Received),
            ("1970, queued", &[], "1970-01-01T00:00:10Z", Queued, None, None, Unknown),
            ("far future, queued", &["2099-01-01T00:00:00Z"], "2099-01-01T00:00:00Z", Queued, None, None, Unknown),
            ("far future, live", &[], "2099-01-01T00:00:00Z", Live, None, Some(NOW), Received),
            ("garbage, queued", &[], "gestern", Queued, None, None, Unknown),
            ("before the last boot, queued", &[], "2024-04-01T02:00:00Z", Queued, Some("2024-05-01T00:00:00Z"), None, Unknown),
            ("before the session, live", &[], "2024-04-01T02:00:00Z", Live, Some("2024-05-01T00:00:00Z"), Some(NOW), Received),
        ];
        for (case, live, device, delivery, not_before, expected, source) in table {
            let device = DeviceTime::parse(device);
            let decided = taught(live).occurred_at(Some(&device), at(NOW), delivery, not_before.map(at));
            assert_eq!(decided, OccurredAt { at: expected.map(at), source }, "{case}");
        }
    }

    #[test]
    fn one_message_stamped_ahead_moves_no_clock() {
        let learned = |stamps: &[&str]| {
            let mut clock = DeviceClock::default();
            for stamp in stamps {
                clock.learn(&DeviceTime::parse(stamp), at(NOW), Delivery::Live);
            }
            clock.skew_ms()
        };
        assert_eq!(NOW, "2024-05-01T10:00:00Z");
        let (right, ahead, late) = ("2024-05-01T10:00:00Z", "2024-05-01T10:01:00Z", "2024-05-01T09:50:00Z");
        for (stamps, skew_ms) in [
            (&[right, ahead, right][..], 0),
            // Stamps of things that were a while ago are older than their messages; two that agree tell the clock.
            (&[late, right, right, ahead], 0),
            // A clock that is a minute ahead says so more than once.
            (&[ahead, ahead], -60_000),
            (&[ahead], -60_000),
            // None agree: neither the earliest nor the latest.
            (&[late, ahead, right], 0),
        ] {
            assert_eq!(learned(stamps), Some(skew_ms), "{stamps:?}");
        }
    }

    #[test]
    fn learns_from_live_messages_only_and_forgets_at_a_boot() {
        let mut clock = DeviceClock::default();
        clock.learn(&DeviceTime::parse("2024-05-01T02:00:00Z"), at(NOW), Delivery::Queued);
        clock.learn(&DeviceTime::parse("1970-01-01T00:00:00Z"), at(NOW), Delivery::Live);
        assert_eq!(clock.skew_ms(), None);
        for _ in 0..20 {
            clock.learn(&DeviceTime::parse("2024-05-01T09:00:00Z"), at(NOW), Delivery::Live);
        }
        assert_eq!(clock.skew_ms(), Some(3_600_000));
        assert_eq!(clock.skews_ms.len(), SAMPLES_MAX);
        clock.forget();
        assert_eq!(clock.skew_ms(), None);
    }

    #[test]
    fn a_missing_time_is_the_receipt_of_a_live_report() {
        let clock = DeviceClock::default();
        assert_eq!(clock.occurred_at(None, at(NOW), Delivery::Live, None).source, TimeSource::Received);
        assert_eq!(clock.occurred_at(None, at(NOW), Delivery::Queued, None).at, None);
    }
}
