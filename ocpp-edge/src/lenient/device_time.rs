use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, Utc};

/// A time as the device wrote it, verbatim, beside what it could be read as.
///
/// Which clock counts is not decided here: devices that boot in 1970 or send their local time as UTC write perfectly
/// readable times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTime<'a> {
    pub text: Cow<'a, str>,
    pub reading: Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// RFC 3339 with its offset.
    Zoned(DateTime<Utc>),
    /// A date and time without an offset: UTC where the device follows the advice of OCPP 1.6, else local.
    Zoneless(NaiveDateTime),
    Unreadable,
}

impl<'a> DeviceTime<'a> {
    pub fn new(text: Cow<'a, str>) -> Self {
        let reading = read(text.trim());
        Self { text, reading }
    }

    /// The moment, a missing zone taken as UTC.
    pub fn instant(&self) -> Option<DateTime<Utc>> {
        match self.reading {
            Reading::Zoned(instant) => Some(instant),
            Reading::Zoneless(local) => Some(local.and_utc()),
            Reading::Unreadable => None,
        }
    }
}

fn read(text: &str) -> Reading {
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Reading::Zoned(zoned.with_timezone(&Utc));
    }
    // ISO 8601's basic offset (+0100), which RFC 3339 has not.
    if let Ok(zoned) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Reading::Zoned(zoned.with_timezone(&Utc));
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map_or(Reading::Unreadable, Reading::Zoneless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_real_devices() {
        let noon = "2026-03-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for (text, zoned) in [
            ("2026-03-01T12:00:00Z", true),
            ("2026-03-01T12:00:00.000Z", true),
            ("2026-03-01T13:00:00+01:00", true),
            ("2026-03-01T13:00:00+0100", true),
            ("2026-03-01 12:00:00Z", true),
            ("2026-03-01T12:00:00", false),
            ("2026-03-01T12:00:00.000", false),
            ("2026-03-01 12:00:00", false),
        ] {
            let time = DeviceTime::new(text.into());
            assert_eq!(time.instant(), Some(noon), "{text}");
            assert_eq!(matches!(time.reading, Reading::Zoned(_)), zoned, "{text}");
            assert_eq!(time.text, text);
        }
        for text in ["", "now", "1772366400", "2026-03-01", "2026-13-01T00:00:00Z"] {
            assert_eq!(DeviceTime::new(text.into()).instant(), None, "{text}");
        }
    }
}
