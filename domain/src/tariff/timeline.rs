//! A session cut into stretches, in each of which every restriction of the tariff either holds or doesn't.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};

use super::boundaries::Boundaries;
use super::charge_facts::{ChargeFacts, EnergyPoint, Span};
use super::priced_session::Activity;

/// Digits after the point of an interpolated energy in Wh. Stretches share their ends, so nothing is lost by rounding.
const INTERPOLATED_DIGITS: u32 = 6;

/// A moment, and the session's energy then, as far as either is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub at: Option<DateTime<Utc>>,
    pub energy_wh: Option<Decimal>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub from: Cut,
    pub to: Cut,
    pub power_w: Option<Decimal>,
    pub activity: Activity,
}

impl Stretch {
    pub fn energy_wh(&self) -> Option<Decimal> {
        Some(self.to.energy_wh? - self.from.energy_wh?)
    }

    pub fn duration_ms(&self) -> Option<i64> {
        Some((self.to.at? - self.from.at?).num_milliseconds())
    }
}

/// The session's stretches in order. A session with a known time has at least one, even if it took no time; one of
/// which neither time nor energy is known has none.
pub(super) fn stretches(charge: &ChargeFacts, boundaries: &Boundaries, zone: Tz) -> Vec<Stretch> {
    match (charge.span(), charge.energy_wh()) {
        (Some(span), energy_wh) => timed(charge, span, energy_wh, boundaries, zone),
        (None, Some(energy_wh)) => untimed(energy_wh, boundaries),
        (None, None) => Vec::new(),
    }
}

/// Average power between two readings; `None` if they are at the same moment.
pub(super) fn average_power_w(from: EnergyPoint, to: EnergyPoint) -> Option<Decimal> {
    let milliseconds = (to.at - from.at).num_milliseconds();
    (milliseconds > 0).then(|| (to.energy_wh - from.energy_wh) * Decimal::from(3_600_000) / Decimal::from(milliseconds))
}

fn timed(
    charge: &ChargeFacts,
    span: Span,
    energy_wh: Option<Decimal>,
    boundaries: &Boundaries,
    zone: Tz,
) -> Vec<Stretch> {
    let mut moments = boundaries.moments(zone, span.started_at, span.started_at, span.ended_at);
    let stop = moments.partition_point(|moment| *moment < span.stopped_at);
    if moments.get(stop) != Some(&span.stopped_at) {
        moments.insert(stop, span.stopped_at);
    }

    let Some(energy_wh) = energy_wh else {
        let ends = [span.started_at].into_iter().chain(moments).chain([span.ended_at]);
        let cuts = ends.map(|at| Cut { at: Some(at), energy_wh: None }).collect::<Vec<_>>();
        return join(&cuts, None, span);
    };

    let mut stretches = Vec::new();
    for pair in knots(charge, span, energy_wh).windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let mut cuts = vec![from];
        let first = moments.partition_point(|moment| *moment <= from.at);
        let inside = moments[first..].iter().take_while(|moment| **moment < to.at);
        cuts.extend(inside.map(|moment| EnergyPoint { at: *moment, energy_wh: energy_at(*moment, from, to) }));
        let crossed = boundaries.energies_wh(from.energy_wh, to.energy_wh);
        cuts.extend(crossed.map(|energy_wh| EnergyPoint { at: moment_of(energy_wh, from, to), energy_wh }));
        cuts.push(to);
        cuts.sort_by_key(|cut| (cut.energy_wh, cut.at));
        // Both are rounded (to a millisecond, to a µWh), and neither may step back for that.
        let mut latest = from.at;
        let cuts: Vec<_> = cuts
            .into_iter()
            .map(|cut| {
                latest = latest.max(cut.at);
                Cut { at: Some(latest), energy_wh: Some(cut.energy_wh) }
            })
            .collect();
        stretches.extend(join(&cuts, average_power_w(from, to), span));
    }
    // Readings at one moment, or a threshold just reached, leave empty stretches; but a flat fee needs one.
    let first = stretches.first().copied();
    stretches.retain(|stretch| stretch.from != stretch.to);
    if stretches.is_empty() { first.into_iter().collect() } else { stretches }
}

/// Start, readings and end. Readings beyond either end count at that end.
fn knots(charge: &ChargeFacts, span: Span, energy_wh: Decimal) -> Vec<EnergyPoint> {
    let start = EnergyPoint { at: span.started_at, energy_wh: Decimal::ZERO };
    let readings = charge
        .points()
        .iter()
        .map(|point| EnergyPoint { at: point.at.clamp(span.started_at, span.ended_at), ..*point });
    let end = EnergyPoint { at: span.ended_at, energy_wh };
    [start].into_iter().chain(readings).chain([end]).collect()
}

fn untimed(energy_wh: Decimal, boundaries: &Boundaries) -> Vec<Stretch> {
    let energies =
        [Decimal::ZERO].into_iter().chain(boundaries.energies_wh(Decimal::ZERO, energy_wh)).chain([energy_wh]);
    let cuts: Vec<_> = energies.map(|energy_wh| Cut { at: None, energy_wh: Some(energy_wh) }).collect();
    cuts.windows(2).map(|pair| stretch(pair[0], pair[1], None, Activity::Charging)).collect()
}

fn join(cuts: &[Cut], power_w: Option<Decimal>, span: Span) -> Vec<Stretch> {
    let activity = |from: &Cut| match from.at {
        Some(at) if at >= span.stopped_at && span.stopped_at < span.ended_at => Activity::Parking,
        _ => Activity::Charging,
    };
    cuts.windows(2).map(|pair| stretch(pair[0], pair[1], power_w, activity(&pair[0]))).collect()
}

fn stretch(from: Cut, to: Cut, power_w: Option<Decimal>, activity: Activity) -> Stretch {
    Stretch { from, to, power_w, activity }
}

fn energy_at(at: DateTime<Utc>, from: EnergyPoint, to: EnergyPoint) -> Decimal {
    let whole = Decimal::from((to.at - from.at).num_milliseconds().max(1));
    let part = Decimal::from((at - from.at).num_milliseconds());
    let energy_wh = from.energy_wh + (to.energy_wh - from.energy_wh) * part / whole;
    let rounded = energy_wh.round_dp_with_strategy(INTERPOLATED_DIGITS, RoundingStrategy::MidpointAwayFromZero);
    rounded.clamp(from.energy_wh, to.energy_wh)
}

/// When an energy between two readings was reached, to a millisecond.
fn moment_of(energy_wh: Decimal, from: EnergyPoint, to: EnergyPoint) -> DateTime<Utc> {
    let share = (energy_wh - from.energy_wh) / (to.energy_wh - from.energy_wh);
    let milliseconds = share * Decimal::from((to.at - from.at).num_milliseconds());
    let rounded = milliseconds.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let elapsed = TimeDelta::milliseconds(i64::try_from(rounded).unwrap_or_default());
    (from.at + elapsed).clamp(from.at, to.at)
}
