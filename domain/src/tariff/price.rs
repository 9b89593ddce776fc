//! The one function that prices a session.

use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::boundaries::Boundaries;
use super::charge_facts::ChargeFacts;
use super::model::{ComponentType, PriceComponent, Tariff};
use super::priced_session::{Activity, AppliedTax, LineKind, PriceLine, PricedPeriod, PricedSession};
use super::restrictions::Situation;
use super::timeline::{Stretch, stretches};
use super::usage::{Usages, denominator, quotient};
use crate::money::{Amount, Money};

/// Prices a session: up to where it has been seen while it runs, or up to its end. `zone` is the site's.
///
/// - The session is cut wherever a restriction begins or ends to hold; energy is interpolated linearly between readings.
/// - Unknown energy has no line: it is not 0. Without a trustworthy time only energy is priced, by elements that don't
///   depend on time, or else at the tariff's lowest price of energy. Both give an estimate.
/// - A flat fee is due once, the first that holds. The minimum applies to sessions with a trustworthy time.
/// - Sums are exact and the total is rounded once.
#[must_use]
pub fn price(tariff: &Tariff, zone: Tz, charge: &ChargeFacts) -> PricedSession {
    let stretches = stretches(charge, &Boundaries::of(tariff), zone);
    let mut usages = Usages::default();
    let mut periods: Vec<PricedPeriod> = Vec::new();
    for stretch in &stretches {
        let used = use_stretch(tariff, zone, charge, stretch, &mut usages);
        if let Some(period) = used {
            append(&mut periods, period);
        }
    }
    usages.round_up_to_steps();

    let used = usages.numerator();
    let mut lines = usages.lines();
    let least = tariff.min_price.filter(|_| charge.span().is_some()).map(|least| least.value() * denominator());
    let due = least.map_or(used, |least| least.max(used));
    if let (Some(min_price), true) = (tariff.min_price, due > used) {
        lines.push(up_to_minimum(min_price, quotient(due - used, denominator())));
    }
    with_taxes(tariff, due, lines, periods, charge.doubtful())
}

fn use_stretch<'t>(
    tariff: &'t Tariff,
    zone: Tz,
    charge: &ChargeFacts,
    stretch: &Stretch,
    usages: &mut Usages<'t>,
) -> Option<PricedPeriod> {
    let started_at = charge.span().map(|span| span.started_at);
    let now = Situation {
        local: stretch.from.at.map(|at| at.with_timezone(&zone).naive_local()),
        energy_wh: stretch.from.energy_wh,
        duration_ms: stretch.from.at.zip(started_at).map(|(at, started_at)| (at - started_at).num_milliseconds()),
        power_w: stretch.power_w,
    };

    let energy_wh = stretch.energy_wh();
    let timed = stretch.from.at.zip(stretch.to.at);
    let mut energy_component = tariff.component(ComponentType::Energy, &now);
    if timed.is_none() {
        energy_component = energy_component.or_else(|| cheapest_energy(tariff));
    }
    if let (Some((element, component)), Some(energy_wh)) = (energy_component, energy_wh.filter(|wh| !wh.is_zero())) {
        usages.add(element, component, energy_wh);
    }

    let (from, to) = timed?;
    let time_kind = match stretch.activity {
        Activity::Charging => ComponentType::Time,
        Activity::Parking => ComponentType::ParkingTime,
    };
    let time_component = tariff.component(time_kind, &now);
    if let (Some((element, component)), Some(ms @ 1..)) = (time_component, stretch.duration_ms()) {
        usages.add(element, component, Decimal::from(ms));
    }
    if !usages.any(ComponentType::Flat)
        && let Some((element, component)) = tariff.component(ComponentType::Flat, &now)
    {
        usages.add(element, component, Decimal::ONE);
    }
    Some(PricedPeriod {
        from,
        to,
        activity: stretch.activity,
        energy_wh: energy_wh.map(|wh| wh.normalize()),
        energy_element: energy_component.map(|(element, _)| element),
        time_element: time_component.map(|(element, _)| element),
    })
}

/// In doubt about the time of day, in favour of the driver.
fn cheapest_energy(tariff: &Tariff) -> Option<(usize, &PriceComponent)> {
    let all = tariff
        .elements
        .iter()
        .enumerate()
        .flat_map(|(index, element)| element.price_components.iter().map(move |component| (index, component)));
    all.filter(|(_, component)| component.kind == ComponentType::Energy).min_by_key(|(_, component)| component.price)
}

/// Appends a period, or prolongs the last one if nothing that applied has changed.
fn append(periods: &mut Vec<PricedPeriod>, next: PricedPeriod) {
    match periods.last_mut() {
        Some(last)
            if last.activity == next.activity
                && last.energy_element == next.energy_element
                && last.time_element == next.time_element =>
        {
            last.to = next.to;
            last.energy_wh = last.energy_wh.zip(next.energy_wh).map(|(a, b)| (a + b).normalize());
        }
        _ => periods.push(next),
    }
}

fn up_to_minimum(min_price: Amount, amount: Amount) -> PriceLine {
    PriceLine {
        kind: LineKind::Minimum,
        element: None,
        price: min_price,
        energy_wh: None,
        billed_energy_wh: None,
        time_s: None,
        billed_time_s: None,
        amount,
    }
}

/// `due` is exact, in units of 1/[`denominator`], with taxes or without as the tariff says. The total is divided and
/// rounded once, from `due` itself.
fn with_taxes(
    tariff: &Tariff,
    due: Decimal,
    lines: Vec<PriceLine>,
    periods: Vec<PricedPeriod>,
    estimated: bool,
) -> PricedSession {
    let hundred = Decimal::ONE_HUNDRED;
    let percent: Decimal = tariff.taxes.iter().map(|tax| tax.percent).sum();
    // before_taxes = due * net / gross, total = due * (100 + percent) / gross
    let (net, gross) = if tariff.tax_included { (hundred, hundred + percent) } else { (hundred, hundred) };
    let before = |factor: Decimal| quotient(due * factor, denominator() * gross);
    let total =
        if tariff.tax_included { due / denominator() } else { due * (hundred + percent) / (denominator() * hundred) };
    let taxes = tariff.taxes.iter().map(|tax| AppliedTax {
        name: tax.name.clone(),
        percent: tax.percent,
        amount: before(tax.percent),
    });
    PricedSession {
        periods,
        lines,
        before_taxes: before(net),
        taxes: taxes.collect(),
        total: Money::round(Amount::new(total), tariff.currency),
        estimated,
    }
}
