//! Whether an element's restrictions hold at one moment of a session.

use chrono::{NaiveDateTime, Timelike};
use rust_decimal::Decimal;

use super::model::{ComponentType, DayOfWeek, PriceComponent, Restrictions, Tariff};

/// What restrictions are checked against. A restriction on something unknown does not hold: it can't be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// Wall clock of the site.
    pub local: Option<NaiveDateTime>,
    /// Energy of the session so far.
    pub energy_wh: Option<Decimal>,
    /// Since the start of the session.
    pub duration_ms: Option<i64>,
    /// Average between the readings around this moment.
    pub power_w: Option<Decimal>,
}

impl Tariff {
    /// The first element that prices this dimension and whose restrictions hold, with its index (OCPI mod_tariffs,
    /// "TariffElement").
    pub(super) fn component(&self, kind: ComponentType, now: &Situation) -> Option<(usize, &PriceComponent)> {
        self.elements.iter().enumerate().find_map(|(index, element)| {
            let component = element.price_components.iter().find(|component| component.kind == kind)?;
            element.restrictions.hold(now).then_some((index, component))
        })
    }
}

impl Restrictions {
    fn hold(&self, now: &Situation) -> bool {
        let energy_wh = |kwh: Option<Decimal>| kwh.map(|kwh| kwh * Decimal::ONE_THOUSAND);
        let duration_ms = |seconds: Option<u32>| seconds.map(|seconds| i64::from(seconds) * 1000);
        within(now.energy_wh, energy_wh(self.min_kwh), energy_wh(self.max_kwh))
            && within(now.duration_ms, duration_ms(self.min_duration_s), duration_ms(self.max_duration_s))
            && within(now.power_w, self.min_power_w.map(Decimal::from), self.max_power_w.map(Decimal::from))
            && (!self.follow_the_wall_clock() || now.local.is_some_and(|local| self.hold_on_the_wall_clock(local)))
    }

    fn hold_on_the_wall_clock(&self, local: NaiveDateTime) -> bool {
        within(Some(local.date()), self.start_date, self.end_date)
            && (self.days_of_week.is_empty() || self.days_of_week.contains(&DayOfWeek::of(local.date())))
            && self.hold_at_time_of_day(local.num_seconds_from_midnight())
    }

    fn hold_at_time_of_day(&self, second: u32) -> bool {
        match (self.start_time.map(|t| t.second_of_day()), self.end_time.map(|t| t.second_of_day())) {
            (Some(start), Some(end)) if start < end => (start..end).contains(&second),
            (Some(start), Some(end)) => second >= start || second < end,
            (Some(start), None) => second >= start,
            // Until midnight is how OCPI says "the rest of the day".
            (None, Some(end)) => end == 0 || second < end,
            (None, None) => true,
        }
    }
}

/// From `min`, inclusive, until `max`, exclusive.
fn within<T: PartialOrd>(value: Option<T>, min: Option<T>, max: Option<T>) -> bool {
    match value {
        Some(value) => min.is_none_or(|min| value >= min) && max.is_none_or(|max| value < max),
        None => min.is_none() && max.is_none(),
    }
}
