//! The energy that one register counted during a session.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::energy_meter::MeterFlag;

/// A register that starts at 0 may show this much at its first reading, if nothing better is known: 500 kWh.
const FIRST_READING_WH_MAX: i64 = 500_000;
/// More power than any charger has, for outlets whose own is not known: 4 MW.
const POWER_MAX_W: u32 = 4_000_000;
/// Readings are stamped to the second and power is nominal, so this much more than the outlet's maximum is no fault.
const POWER_TOLERANCE_PERCENT: i64 = 120;
const ENERGY_TOLERANCE_WH: i64 = 1_000;
/// `meterStart` and `meterStop` are whole Wh where readings have digits: to fall by less is no reset.
const ROUNDING_WH: Decimal = Decimal::ONE;

/// Follows one cumulative register through a session. The rule:
///
/// 1. The energy is the sum, over all stretches without a reset, of the last register less the stretch's baseline. It is
///    unknown until two registers of one stretch are known.
/// 2. The first baseline is the register at the start; where the start didn't tell it, that of the first
///    `Transaction.Begin` reading, or else the first reading.
/// 3. A register that falls was reset: what it counted before stays, the lower value is the next baseline, and what
///    went unseen in between is not billed. Flagged.
/// 4. A first reading that can't have been reached from the start (a start of 0 and then the meter's whole life, or more
///    than the outlet's power gives in that time) refutes the start: the reading becomes the baseline. Flagged.
/// 5. Where the start is unknown or refuted, a plausible `Transaction.Begin` reading, also a later one, is the baseline.
/// 6. A later jump of that kind is not billed either. Flagged. If the register then falls back to where it was, it was
///    one wrong reading, and counting goes on from before it.
/// 7. A reading older than the last one changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegisterTracker {
    #[serde(with = "rust_decimal::serde::str_option")]
    start_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option")]
    baseline_wh: Option<Decimal>,
    last: Option<Register>,
    /// No reading has come since the start.
    at_start: bool,
    /// Whether two registers of one stretch are known.
    known: bool,
    /// Energy of the stretches that are over.
    #[serde(with = "rust_decimal::serde::str")]
    finished_wh: Decimal,
    /// The last register before an implausible jump, until the next reading.
    before_jump: Option<Register>,
    /// The first reading, as long as it stands in for a start that is unknown or refuted.
    #[serde(with = "rust_decimal::serde::str_option")]
    stand_in_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option")]
    begin_wh: Option<Decimal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Register {
    at: Option<DateTime<Utc>>,
    #[serde(with = "rust_decimal::serde::str")]
    wh: Decimal,
}

impl RegisterTracker {
    /// Energy since the start in Wh; `None` is unknown, not 0.
    #[must_use]
    pub fn energy_wh(&self) -> Option<Decimal> {
        let running = self.last?.wh - self.baseline_wh?;
        self.known.then(|| (self.finished_wh + running).normalize())
    }

    /// The register at the start, as reported with the start itself. It may come after readings.
    pub(super) fn start(&mut self, at: Option<DateTime<Utc>>, wh: Decimal) {
        self.start_wh = Some(wh);
        if self.last.is_some() {
            self.begin(wh);
        } else {
            self.baseline_wh = Some(wh);
            self.last = Some(Register { at, wh });
            self.at_start = true;
        }
    }

    /// A register of context `Transaction.Begin`; the first counts.
    pub(super) fn begin(&mut self, wh: Decimal) {
        if self.last.is_none() {
            self.baseline_wh = Some(wh);
            self.last = Some(Register { at: None, wh });
            self.at_start = true;
        }
        self.begin_wh.get_or_insert(wh);
        self.replace_stand_in();
    }

    /// Takes a reading and answers the session's energy at its moment, which for a late one is not the newest.
    pub(super) fn observe(
        &mut self,
        at: Option<DateTime<Utc>>,
        wh: Decimal,
        max_power_w: Option<u32>,
        flags: &mut BTreeSet<MeterFlag>,
    ) -> Option<Decimal> {
        self.follow(at, wh, max_power_w, flags);
        let (baseline, last) = (self.baseline_wh?, self.last?);
        // A register outside the running stretch belongs to an earlier one, whose baseline is gone.
        let of_this_stretch = self.known && (baseline..=last.wh).contains(&wh);
        of_this_stretch.then(|| (self.finished_wh + wh - baseline).normalize())
    }

    fn follow(
        &mut self,
        at: Option<DateTime<Utc>>,
        wh: Decimal,
        max_power_w: Option<u32>,
        flags: &mut BTreeSet<MeterFlag>,
    ) {
        let now = Register { at, wh };
        let Some(last) = self.last else {
            self.baseline_wh = Some(wh);
            self.last = Some(now);
            self.stand_in_wh = Some(wh);
            return self.replace_stand_in();
        };
        if at.zip(last.at).is_some_and(|(at, last_at)| at < last_at) {
            return;
        }
        let before_jump = self.before_jump.take();
        let at_start = std::mem::take(&mut self.at_start);
        if wh < last.wh && last.wh - wh < ROUNDING_WH {
            self.known = true;
            return;
        }
        if wh < last.wh {
            match before_jump {
                Some(before) if before.wh <= wh && plausible(before, now, max_power_w) => {
                    self.finished_wh += wh - before.wh;
                    self.known = true;
                }
                _ => {
                    flags.insert(MeterFlag::RegisterReset);
                    self.finish_stretch(last);
                    self.stand_in_wh = at_start.then_some(wh);
                }
            }
            self.baseline_wh = Some(wh);
        } else if at_start && !plausible_start(last, now, max_power_w) {
            flags.insert(MeterFlag::ImplausibleStart);
            self.baseline_wh = Some(wh);
            self.stand_in_wh = Some(wh);
        } else if !plausible(last, now, max_power_w) {
            flags.insert(MeterFlag::ImplausibleJump);
            self.finish_stretch(last);
            self.baseline_wh = Some(wh);
            self.before_jump = Some(last);
        } else {
            self.known = true;
        }
        self.last = Some(now);
        self.replace_stand_in();
    }

    /// The register at the stop, which comes last even if its stamp doesn't.
    pub(super) fn stop(
        &mut self,
        at: Option<DateTime<Utc>>,
        wh: Decimal,
        max_power_w: Option<u32>,
        flags: &mut BTreeSet<MeterFlag>,
    ) -> Option<Decimal> {
        if self.start_wh.is_some_and(|start_wh| wh < start_wh) {
            flags.insert(MeterFlag::StopBelowStart);
        }
        let at = match self.last {
            Some(last) if last.wh <= wh => at.max(last.at),
            _ => at,
        };
        self.observe(at, wh, max_power_w, flags)
    }

    fn finish_stretch(&mut self, last: Register) {
        if let Some(baseline_wh) = self.baseline_wh {
            self.finished_wh += last.wh - baseline_wh;
        }
    }

    /// Puts the `Transaction.Begin` register in the place of a first reading that stood in for the start.
    fn replace_stand_in(&mut self) {
        if let (Some(stand_in_wh), Some(begin_wh)) = (self.stand_in_wh, self.begin_wh)
            && begin_wh <= stand_in_wh
            && stand_in_wh - begin_wh <= Decimal::from(FIRST_READING_WH_MAX)
        {
            self.finished_wh += stand_in_wh - begin_wh;
            self.known = true;
            self.stand_in_wh = None;
        }
    }
}

fn plausible_start(start: Register, first: Register, max_power_w: Option<u32>) -> bool {
    let whole_life = start.wh.is_zero() && first.wh > Decimal::from(FIRST_READING_WH_MAX);
    !whole_life && plausible(start, first, max_power_w)
}

/// Whether the outlet can have given this much in this time. If the time is not known, or a clock stands still, it can.
fn plausible(from: Register, to: Register, max_power_w: Option<u32>) -> bool {
    let elapsed_ms = from.at.zip(to.at).map_or(0, |(from, to)| (to - from).num_milliseconds());
    if elapsed_ms <= 0 {
        return true;
    }
    const MS_PER_HOUR: i64 = 3_600_000;
    let max_power_w = Decimal::from(max_power_w.filter(|w| *w > 0).unwrap_or(POWER_MAX_W));
    let possible_wh = max_power_w * Decimal::from(elapsed_ms) * Decimal::from(POWER_TOLERANCE_PERCENT)
        / Decimal::from(100 * MS_PER_HOUR);
    to.wh - from.wh <= possible_wh + Decimal::from(ENERGY_TOLERANCE_WH)
}
