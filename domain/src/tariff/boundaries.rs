//! Where a tariff may change its mind: the moments, energies and powers at which a restriction begins or ends to hold.
//!
//! Between two neighbouring boundaries every restriction holds or doesn't, so a session is priced boundary by
//! boundary, and readings between them can be forgotten.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::model::Tariff;

/// All boundaries of a tariff, over all its elements.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    /// Local times of day, with midnight as soon as days or times matter at all.
    seconds_of_day: BTreeSet<u32>,
    durations_s: BTreeSet<u32>,
    energies_wh: BTreeSet<Decimal>,
    powers_w: BTreeSet<u32>,
}

impl Boundaries {
    pub fn of(tariff: &Tariff) -> Self {
        let mut all = Self::default();
        for restrictions in tariff.elements.iter().map(|element| &element.restrictions) {
            if restrictions.follow_the_wall_clock() {
                all.seconds_of_day.insert(0);
            }
            let times = [restrictions.start_time, restrictions.end_time];
            all.seconds_of_day.extend(times.into_iter().flatten().map(|time| time.second_of_day()));
            all.durations_s.extend([restrictions.min_duration_s, restrictions.max_duration_s].into_iter().flatten());
            let energies = [restrictions.min_kwh, restrictions.max_kwh].into_iter().flatten();
            all.energies_wh.extend(energies.map(|kwh| (kwh * Decimal::ONE_THOUSAND).normalize()));
            all.powers_w.extend([restrictions.min_power_w, restrictions.max_power_w].into_iter().flatten());
        }
        all
    }

    /// The moments strictly between `from` and `to`, in order.
    pub fn moments(
        &self,
        zone: Tz,
        started_at: DateTime<Utc>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<DateTime<Utc>> {
        let mut moments = Vec::new();
        moments.extend(self.durations_s.iter().map(|s| started_at + TimeDelta::seconds(i64::from(*s))));
        if !self.seconds_of_day.is_empty() {
            self.wall_clock_moments(zone, from, to, &mut moments);
        }
        moments.retain(|moment| from < *moment && *moment < to);
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// The energies strictly between `from_wh` and `to_wh`, in order.
    pub fn energies_wh(&self, from_wh: Decimal, to_wh: Decimal) -> impl Iterator<Item = Decimal> {
        self.energies_wh.iter().copied().filter(move |wh| from_wh < *wh && *wh < to_wh)
    }

    /// Two powers that no restriction tells apart have the same class.
    pub fn power_class(&self, power_w: Option<Decimal>) -> Option<usize> {
        let power_w = power_w?;
        Some(self.powers_w.iter().filter(|boundary| power_w >= Decimal::from(**boundary)).count())
    }

    /// The wall clock is read with offsets from UTC, never the other way round: so a time of day that a spring gap
    /// leaves out, or that comes twice in autumn, needs no rule. The change of the offset is a boundary itself.
    fn wall_clock_moments(&self, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>, moments: &mut Vec<DateTime<Utc>>) {
        let mut begin = from;
        while begin < to {
            // No zone changes its offset twice in a day.
            let end = to.min(begin + TimeDelta::days(1));
            if offset_s(zone, begin) == offset_s(zone, end) {
                self.at_one_offset(offset_s(zone, begin), begin, end, moments);
            } else {
                let change = change_of_offset(zone, begin, end);
                moments.push(change);
                self.at_one_offset(offset_s(zone, begin), begin, change, moments);
                self.at_one_offset(offset_s(zone, end), change, end, moments);
            }
            begin = end;
        }
    }

    fn at_one_offset(&self, offset_s: i32, from: DateTime<Utc>, to: DateTime<Utc>, moments: &mut Vec<DateTime<Utc>>) {
        let offset = TimeDelta::seconds(i64::from(offset_s));
        let mut day = (from + offset).date_naive();
        let last_day = (to + offset).date_naive();
        while day <= last_day {
            let midnight = day.and_time(NaiveTime::MIN).and_utc() - offset;
            let of_this_day = self.seconds_of_day.iter().map(|s| midnight + TimeDelta::seconds(i64::from(*s)));
            moments.extend(of_this_day.filter(|moment| from <= *moment && *moment <= to));
            let Some(next) = day.succ_opt() else { return };
            day = next;
        }
    }
}

fn offset_s(zone: Tz, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

/// The first second with the new offset; `from` has the old one, `to` the new one.
fn change_of_offset(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
    let old = offset_s(zone, from);
    let (mut before, mut after) = (from.timestamp(), to.timestamp() + 1);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let at = DateTime::from_timestamp(middle, 0).unwrap_or(to);
        if offset_s(zone, at) == old { before = middle } else { after = middle }
    }
    DateTime::from_timestamp(after, 0).unwrap_or(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn wall(zone: Tz, seconds_of_day: &[u32], from: &str, to: &str) -> Vec<String> {
        let boundaries =
            Boundaries { seconds_of_day: seconds_of_day.iter().copied().collect(), ..Boundaries::default() };
        let moments = boundaries.moments(zone, at(from), at(from), at(to));
        moments.into_iter().map(|moment| moment.format("%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn wall_clock_moments() {
        let berlin = chrono_tz::Europe::Berlin;
        let half_past_two = [0, 9000];
        #[rustfmt::skip]
        let table = [
            ("summer", berlin, &half_past_two[..], "2024-07-01T12:00:00Z", "2024-07-02T12:00:00Z", &["01T22:00", "02T00:30"][..]),
            ("spring gap", berlin, &half_past_two, "2024-03-30T12:00:00Z", "2024-03-31T12:00:00Z", &["30T23:00", "31T01:00"]),
            ("autumn overlap", berlin, &half_past_two, "2024-10-26T12:00:00Z", "2024-10-27T12:00:00Z", &["26T22:00", "27T00:30", "27T01:00", "27T01:30"]),
            ("half an hour", chrono_tz::Asia::Kolkata, &[0], "2024-07-01T12:00:00Z", "2024-07-02T12:00:00Z", &["01T18:30"]),
            ("two days", berlin, &[0], "2024-07-01T12:00:00Z", "2024-07-03T12:00:00Z", &["01T22:00", "02T22:00"]),
            ("strictly inside", berlin, &[0], "2024-07-01T22:00:00Z", "2024-07-02T22:00:00Z", &[]),
        ];
        for (case, zone, seconds, from, to, expected) in table {
            assert_eq!(wall(zone, seconds, from, to), expected, "{case}");
        }
    }
}
