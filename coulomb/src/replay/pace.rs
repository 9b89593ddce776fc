//! How fast it happens again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};

const TIMES_MIN: f64 = 0.01;
const TIMES_MAX: f64 = 1_000_000.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as it happened.
    Times(f64),
    /// As fast as the database takes it.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
        let times = times.filter(|times| (TIMES_MIN..=TIMES_MAX).contains(times));
        times.map(Self::Times).ok_or_else(|| "write 10x, 0.5x or such, up to 1000000x, or max".to_owned())
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}x"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// When each event is due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When the first event was recorded.
    pub first: DateTime<Utc>,
    pub speed: Speed,
}

impl Pace {
    /// How long after the first event.
    pub fn due(&self, recorded_at: DateTime<Utc>) -> Duration {
        match self.speed {
            Speed::Max => Duration::ZERO,
            Speed::Times(times) => {
                let since = (recorded_at - self.first).to_std().unwrap_or_default();
                Duration::try_from_secs_f64(since.as_secs_f64() / times).unwrap_or(Duration::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_as_people_write_them() {
        for (text, speed) in [("10x", Speed::Times(10.0)), ("0.5x", Speed::Times(0.5)), ("3", Speed::Times(3.0))] {
            assert_eq!(text.parse(), Ok(speed), "{text}");
        }
        assert_eq!("max".parse(), Ok(Speed::Max));
        for text in ["", "0x", "-1x", "x", "fast", "NaN", "inf", "1e9x"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }

    #[test]
    fn events_are_due_in_the_time_they_took_divided_by_the_speed() {
        let first: DateTime<Utc> = "2026-03-01T10:00:00Z".parse().expect("a time");
        let later = first + chrono::TimeDelta::seconds(90);
        let due = |speed| Pace { first, speed }.due(later);
        assert_eq!(due(Speed::Times(10.0)), Duration::from_secs(9));
        assert_eq!(due(Speed::Times(0.5)), Duration::from_secs(180));
        assert_eq!(due(Speed::Max), Duration::ZERO);
        let before = first - chrono::TimeDelta::seconds(1);
        assert_eq!(Pace { first, speed: Speed::Times(1.0) }.due(before), Duration::ZERO);
    }
}
