//! A moment as people write it.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// RFC 3339, a day (its beginning, UTC), or so long ago: `90s`, `15m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl Moment {
    pub fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub_signed(ago).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.to_utc()));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::At(day.and_time(NaiveTime::MIN).and_utc()));
        }
        ago(text).map(Self::Ago).ok_or_else(|| {
            "write a time such as 2026-03-01T10:00:00Z, a day such as 2026-03-01, or how long ago, such as 15m, 2h or 7d"
                .to_owned()
        })
    }
}

fn ago(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    TimeDelta::try_seconds(i64::from(number) * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let at = |text: &str| Moment::At(text.parse().expect("a time"));
        for (text, expected) in [
            ("2026-03-01T10:00:00+01:00", at("2026-03-01T09:00:00Z")),
            ("2026-03-01", at("2026-03-01T00:00:00Z")),
            ("15m", Moment::Ago(TimeDelta::minutes(15))),
            ("7d", Moment::Ago(TimeDelta::days(7))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "5", "-5m", "2026-02-30", "1w", "5€"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
