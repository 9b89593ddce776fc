//! What pricing needs to know of a session, and how it stays small.
//!
//! A session may have thousands of readings, and its running cost is computed at each. But a tariff can only tell
//! readings apart at its boundaries: the energy at a boundary is interpolated between the two readings around it, and
//! between boundaries only sums count. So a reading is forgotten once no boundary lies between its neighbours, and the
//! cost of pricing is bounded by boundaries, not by readings. The total and every line are what all readings give.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::boundaries::Boundaries;
use super::model::Tariff;
use super::timeline::average_power_w;

/// More energy than this no session has (1 GWh); such a reading is left out and makes the price an estimate.
const ENERGY_WH_MAX: i64 = 1_000_000_000;
/// A session longer than this has a wrong clock, and is priced on energy alone.
const DURATION_DAYS_MAX: i64 = 366;
/// Readings kept of a session that has no tariff to compact them by.
const POINTS_MAX: usize = 10_000;

/// The cumulative energy of a session at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergyPoint {
    pub at: DateTime<Utc>,
    /// Imported since the start of the session.
    #[serde(with = "rust_decimal::serde::str")]
    pub energy_wh: Decimal,
}

/// A session as pricing sees it: charging from `started_at` to `stopped_at`, parking until `departed_at`, with the
/// energy at some moments. All times are `occurred_at`; without a trustworthy start only energy is priced.
///
/// State of an aggregate; in JSON energies are strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChargeFacts {
    started_at: Option<DateTime<Utc>>,
    stopped_at: Option<DateTime<Utc>>,
    departed_at: Option<DateTime<Utc>>,
    /// Up to here the session has been seen; a running session is priced up to here.
    observed_until: Option<DateTime<Utc>>,
    /// Ordered by time, and never falling in energy.
    points: Vec<EnergyPoint>,
    /// The highest energy of a reading without a trustworthy time.
    #[serde(with = "rust_decimal::serde::str_option")]
    untimed_energy_wh: Option<Decimal>,
    /// The stop itself has no trustworthy time.
    stopped_at_unknown_time: bool,
    /// Readings contradicted each other or were impossible.
    contradictory: bool,
}

impl ChargeFacts {
    /// A session that began at `started_at` (`None`: nobody knows), with no energy so far.
    #[must_use]
    pub fn started(started_at: Option<DateTime<Utc>>) -> Self {
        Self { started_at, ..Self::default() }
    }

    /// For a start that arrives late or is corrected. Readings already compacted stay as they are, so boundaries of
    /// duration that move are met with the readings that are left.
    pub fn set_started_at(&mut self, started_at: Option<DateTime<Utc>>) {
        self.started_at = started_at;
    }

    /// The transaction ended; `None` if nobody knows when, which leaves only energy to be priced. Push its meter
    /// value with [`push_reading`](Self::push_reading).
    pub fn stop(&mut self, stopped_at: Option<DateTime<Utc>>) {
        self.stopped_at = stopped_at;
        self.stopped_at_unknown_time = stopped_at.is_none();
    }

    /// A session that was presumed ended goes on.
    pub fn reopen(&mut self) {
        self.stopped_at = None;
        self.stopped_at_unknown_time = false;
        self.departed_at = None;
    }

    /// The cable left: parking ends.
    pub fn depart(&mut self, departed_at: DateTime<Utc>) {
        self.departed_at = Some(departed_at);
    }

    /// The session was seen at this moment, without a reading of its energy.
    pub fn observe(&mut self, at: DateTime<Utc>) {
        self.observed_until = self.observed_until.max(Some(at));
    }

    /// The last moment at which the session was seen, by the charger's corrected clock.
    #[must_use]
    pub fn observed_until(&self) -> Option<DateTime<Utc>> {
        self.observed_until
    }

    /// Takes what a report says of the session's energy: `then_wh` at its own moment (as `EnergyMeter::observe` answers), and
    /// `total_wh`, all that is known now, which a late correction of the start may have raised.
    pub fn record(
        &mut self,
        at: Option<DateTime<Utc>>,
        then_wh: Option<Decimal>,
        total_wh: Option<Decimal>,
        tariff: Option<(&Tariff, Tz)>,
    ) {
        if let Some(at) = at {
            self.observe(at);
        }
        if let Some(then_wh) = then_wh {
            self.push_reading(at, then_wh, tariff);
        }
        if let Some(total_wh) = total_wh.filter(|_| total_wh > self.energy_wh()) {
            self.push_reading(None, total_wh, tariff);
        }
    }

    /// Adds the session's cumulative energy at a moment, and forgets readings that the tariff cannot tell apart. A
    /// reading may come late. Without a tariff nothing is forgotten (up to a limit).
    ///
    /// A newest reading that is lower than earlier ones corrects them; a late one that doesn't fit between its
    /// neighbours is left out. Either makes the price an estimate.
    pub fn push_reading(&mut self, at: Option<DateTime<Utc>>, energy_wh: Decimal, tariff: Option<(&Tariff, Tz)>) {
        if energy_wh < Decimal::ZERO || energy_wh > Decimal::from(ENERGY_WH_MAX) {
            self.contradictory = true;
            return;
        }
        let Some(at) = at else {
            self.untimed_energy_wh = self.untimed_energy_wh.max(Some(energy_wh));
            return;
        };
        self.observe(at);
        let index = self.points.partition_point(|point| point.at <= at);
        if let Some(next) = self.points.get(index) {
            let fits = energy_wh <= next.energy_wh
                && index.checked_sub(1).is_none_or(|i| self.points[i].energy_wh <= energy_wh);
            if !fits {
                self.contradictory = true;
                return;
            }
        } else {
            self.correct_down_to(energy_wh);
        }
        self.points.insert(index, EnergyPoint { at, energy_wh });
        match tariff {
            Some((tariff, zone)) => self.forget_around(index, &Boundaries::of(tariff), zone),
            None if self.points.len() > POINTS_MAX => {
                self.points.remove(self.points.len() / 2);
                self.contradictory = true;
            }
            None => {}
        }
    }

    /// Readings kept; for tests and metrics.
    #[must_use]
    pub fn points(&self) -> &[EnergyPoint] {
        &self.points
    }

    fn correct_down_to(&mut self, energy_wh: Decimal) {
        for point in self.points.iter_mut().rev().take_while(|point| point.energy_wh > energy_wh) {
            point.energy_wh = energy_wh;
            self.contradictory = true;
        }
    }

    /// Only the new point and its neighbours can have become superfluous. The first and the last point stay.
    fn forget_around(&mut self, index: usize, boundaries: &Boundaries, zone: Tz) {
        for candidate in [index + 1, index, index.saturating_sub(1)] {
            if candidate == 0 || candidate + 1 >= self.points.len() {
                continue;
            }
            let [before, point, after] = [candidate - 1, candidate, candidate + 1].map(|i| self.points[i]);
            if self.superfluous(before, point, after, boundaries, zone) {
                self.points.remove(candidate);
            }
        }
    }

    fn superfluous(
        &self,
        before: EnergyPoint,
        point: EnergyPoint,
        after: EnergyPoint,
        boundaries: &Boundaries,
        zone: Tz,
    ) -> bool {
        let started_at = self.started_at.unwrap_or(before.at);
        let too_long = after.at - before.at > TimeDelta::days(DURATION_DAYS_MAX);
        before.at == after.at
            || boundaries.power_class(average_power_w(before, point))
                == boundaries.power_class(average_power_w(point, after))
                && boundaries.energies_wh(before.energy_wh, after.energy_wh).next().is_none()
                && (too_long || boundaries.moments(zone, started_at, before.at, after.at).is_empty())
    }

    /// Start, stop and end of the session in time; `None` if time can't be priced.
    pub(super) fn span(&self) -> Option<Span> {
        let started_at = self.started_at?;
        if self.stopped_at_unknown_time {
            return None;
        }
        let ended_at = match self.stopped_at {
            Some(stopped_at) if stopped_at < started_at => return None,
            Some(stopped_at) => self.departed_at.map_or(stopped_at, |departed_at| departed_at.max(stopped_at)),
            None => self.observed_until.map_or(started_at, |until| until.max(started_at)),
        };
        let span = Span { started_at, stopped_at: self.stopped_at.unwrap_or(ended_at), ended_at };
        (ended_at - started_at <= TimeDelta::days(DURATION_DAYS_MAX)).then_some(span)
    }

    /// The energy of the whole session; `None` if no reading told it.
    pub(super) fn energy_wh(&self) -> Option<Decimal> {
        self.points.last().map(|point| point.energy_wh).max(self.untimed_energy_wh)
    }

    /// Whether something about the session is not known well enough for a final price.
    pub(super) fn doubtful(&self) -> bool {
        let energy_at_stop_unknown = self.stopped_at.is_some_and(|stopped_at| {
            self.untimed_energy_wh.is_none() && self.points.last().is_none_or(|point| point.at < stopped_at)
        });
        self.contradictory || energy_at_stop_unknown || self.energy_wh().is_none() || self.span().is_none()
    }
}

/// A session in time. `stopped_at` is `ended_at` as long as it charges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub started_at: DateTime<Utc>,
    pub stopped_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
}
