//! Timestamps as chargers write them.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// A timestamp of a charger: its text verbatim, and what could be read from it.
///
/// Stored as `{"text":"2024-05-01 10:00:00","at":"2024-05-01T10:00:00Z","zone_assumed":true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTime {
    /// Byte for byte as it was received.
    pub text: String,
    /// `None` if the text is no time.
    pub at: Option<DateTime<Utc>>,
    /// The text named no zone, so UTC was assumed. Some of these are local times: the learned skew corrects them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zone_assumed: bool,
}

/// Longer texts are not looked at: an RFC 3339 time with nanoseconds has 35 characters.
const TEXT_LENGTH_MAX: usize = 48;

impl DeviceTime {
    /// Reads RFC 3339 and the spellings found in the field: a space or a small `t` for `T`, a small `z`, a blank before
    /// the zone, `+0200` and `+02`, any number of fractional digits, no seconds, no zone (UTC is assumed and said).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (at, zone_assumed) = match read(text) {
            Some((at, zone_assumed)) => (Some(at), zone_assumed),
            None => (None, false),
        };
        Self { text: text.to_owned(), at, zone_assumed }
    }
}

fn read(text: &str) -> Option<(DateTime<Utc>, bool)> {
    let text = text.trim();
    if text.len() > TEXT_LENGTH_MAX || !text.is_ascii() {
        return None;
    }
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = (rest[..zone_at].trim_end(), &rest[zone_at..]);

    let local = format!("{date}T{}", fractional_digits_capped(time));
    let local = NaiveDateTime::parse_from_str(&local, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(&local, "%Y-%m-%dT%H:%M"))
        .ok()?;
    let at = local.checked_sub_signed(offset(zone)?)?;
    Some((at.and_utc(), zone.is_empty()))
}

/// Some send more digits than nanoseconds have; the rest says nothing.
fn fractional_digits_capped(time: &str) -> &str {
    const NANOSECOND_DIGITS: usize = 9;
    match time.find('.') {
        Some(dot) => &time[..time.len().min(dot + 1 + NANOSECOND_DIGITS)],
        None => time,
    }
}

/// The offset from UTC; none at all for an empty zone.
fn offset(zone: &str) -> Option<chrono::TimeDelta> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(chrono::TimeDelta::zero());
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i64>().ok()?, 0),
        4 => (digits[..2].parse::<i64>().ok()?, digits[2..].parse::<i64>().ok()?),
        _ => return None,
    };
    (hours <= 14 && minutes < 60).then(|| chrono::TimeDelta::minutes(sign * (hours * 60 + minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_chargers_write() {
        for (text, expected, zone_assumed) in [
            ("2024-05-01T10:00:00Z", Some("2024-05-01T10:00:00+00:00"), false),
            ("2024-05-01T10:00:00.123Z", Some("2024-05-01T10:00:00.123+00:00"), false),
            ("2024-05-01T10:00:00.123456789123Z", Some("2024-05-01T10:00:00.123456789+00:00"), false),
            ("2024-05-01t10:00:00z", Some("2024-05-01T10:00:00+00:00"), false),
            ("2024-05-01T10:00:00 Z", Some("2024-05-01T10:00:00+00:00"), false),
            ("2024-05-01 10:00:00+02:00", Some("2024-05-01T08:00:00+00:00"), false),
            ("2024-05-01T10:00:00+0530", Some("2024-05-01T04:30:00+00:00"), false),
            ("2024-05-01T10:00:00-03", Some("2024-05-01T13:00:00+00:00"), false),
            ("2024-05-01T10:00:00", Some("2024-05-01T10:00:00+00:00"), true),
            ("2024-05-01 10:00:00.5", Some("2024-05-01T10:00:00.500+00:00"), true),
            ("2024-05-01T10:00", Some("2024-05-01T10:00:00+00:00"), true),
            (" 2024-05-01T10:00:00Z ", Some("2024-05-01T10:00:00+00:00"), false),
            ("1970-01-01T00:00:07Z", Some("1970-01-01T00:00:07+00:00"), false),
            ("2024-02-30T10:00:00Z", None, false),
            ("2024-05-01T25:00:00Z", None, false),
            ("2024-05-01T10:00:00+99:00", None, false),
            ("2024-05-01", None, false),
            ("01.05.2024 10:00:00", None, false),
            ("", None, false),
            ("heute", None, false),
            ("2024-05-01T10:00:00ÄZ", None, false),
        ] {
            let time = DeviceTime::parse(text);
            assert_eq!(time.at.map(|at| at.to_rfc3339()).as_deref(), expected, "{text}");
            assert_eq!(time.zone_assumed, zone_assumed, "{text}");
            assert_eq!(time.text, text);
        }
    }
}
