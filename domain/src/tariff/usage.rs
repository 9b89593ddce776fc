//! What a session used of each price component, and how much of it is billed.

use rust_decimal::{Decimal, RoundingStrategy};

use super::model::{ComponentType, PriceComponent};
use super::priced_session::PriceLine;
use crate::money::Amount;

/// Digits of a quotient in a line or tax; the total is not computed from these.
const QUOTIENT_DIGITS: u32 = 12;
const MS_PER_HOUR: i64 = 3_600_000;

/// The use of one component of one element.
#[derive(Debug, Clone)]
pub(super) struct Usage<'t> {
    element: usize,
    component: &'t PriceComponent,
    /// Wh, milliseconds, or 1 for a flat fee.
    used: Decimal,
    billed: Decimal,
}

/// All uses, in the order in which each was used last.
#[derive(Debug, Default)]
pub(super) struct Usages<'t>(Vec<Usage<'t>>);

impl<'t> Usages<'t> {
    pub fn add(&mut self, element: usize, component: &'t PriceComponent, quantity: Decimal) {
        let known = |usage: &Usage| usage.element == element && usage.component.kind == component.kind;
        let mut usage = match self.0.iter().position(known) {
            Some(index) => self.0.remove(index),
            None => Usage { element, component, used: Decimal::ZERO, billed: Decimal::ZERO },
        };
        usage.used += quantity;
        usage.billed = usage.used;
        self.0.push(usage);
    }

    pub fn any(&self, kind: ComponentType) -> bool {
        self.0.iter().any(|usage| usage.component.kind == kind)
    }

    /// Step sizes, once a session and dimension: its total is rounded up to the step of its last component, which carries
    /// the difference. `TIME` and `PARKING_TIME` count as one: where both are used, only parking is rounded (OCPI 2.2.1,
    /// mod_tariffs, "step_size").
    pub fn round_up_to_steps(&mut self) {
        let time = if self.any(ComponentType::ParkingTime) { ComponentType::ParkingTime } else { ComponentType::Time };
        for kind in [ComponentType::Energy, time] {
            let total: Decimal =
                self.0.iter().filter(|usage| usage.component.kind == kind).map(|usage| usage.used).sum();
            if let Some(last) = self.0.iter_mut().rfind(|usage| usage.component.kind == kind) {
                let per_unit = if kind == ComponentType::Energy { 1 } else { 1000 };
                let step = Decimal::from(i64::from(last.component.step_size.max(1)) * per_unit);
                last.billed += (total / step).ceil() * step - total;
            }
        }
    }

    /// The sum of all uses, exact, in 1/[`MS_PER_HOUR`] of the currency.
    pub fn numerator(&self) -> Decimal {
        self.0.iter().map(Usage::numerator).sum()
    }

    /// Lines ordered by element and dimension.
    pub fn lines(mut self) -> Vec<PriceLine> {
        self.0.sort_by_key(|usage| (usage.element, usage.component.kind));
        self.0.iter().map(Usage::line).collect()
    }
}

impl Usage<'_> {
    fn numerator(&self) -> Decimal {
        let per_unit = match self.component.kind {
            ComponentType::Energy => MS_PER_HOUR / 1000,
            ComponentType::Time | ComponentType::ParkingTime => 1,
            ComponentType::Flat => MS_PER_HOUR,
        };
        self.component.price.value() * self.billed * Decimal::from(per_unit)
    }

    fn line(&self) -> PriceLine {
        let seconds = |ms: Decimal| (ms / Decimal::ONE_THOUSAND).normalize();
        let energy = self.component.kind == ComponentType::Energy;
        let time = matches!(self.component.kind, ComponentType::Time | ComponentType::ParkingTime);
        PriceLine {
            kind: self.component.kind.into(),
            element: Some(self.element),
            price: self.component.price,
            energy_wh: energy.then(|| self.used.normalize()),
            billed_energy_wh: energy.then(|| self.billed.normalize()),
            time_s: time.then(|| seconds(self.used)),
            billed_time_s: time.then(|| seconds(self.billed)),
            amount: quotient(self.numerator(), denominator()),
        }
    }
}

/// What a sum of [`Usages::numerator`] is divided by to give an amount.
pub(super) fn denominator() -> Decimal {
    Decimal::from(MS_PER_HOUR)
}

/// For lines and taxes.
pub(super) fn quotient(numerator: Decimal, denominator: Decimal) -> Amount {
    let digits = QUOTIENT_DIGITS;
    Amount::new((numerator / denominator).round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
}
