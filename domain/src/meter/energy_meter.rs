//! The energy of a session, imported and exported, from whatever its charger reports.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::register::RegisterTracker;

/// What a person should look at. Readings are recorded all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterFlag {
    /// A register fell during the session.
    RegisterReset,
    /// The register at the start can't be right; the energy counts from a better one.
    ImplausibleStart,
    /// A register rose more than the outlet can give; that rise does not count.
    ImplausibleJump,
    /// The register at the stop is below the one at the start.
    StopBelowStart,
}

/// Derives a session's energy; part of its state. [`RegisterTracker`] states the rule for registers. `Interval` measurands
/// are added up, and count where no register tells the energy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnergyMeter {
    import: RegisterTracker,
    export: RegisterTracker,
    #[serde(with = "rust_decimal::serde::str_option")]
    import_intervals_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option")]
    export_intervals_wh: Option<Decimal>,
    flags: BTreeSet<MeterFlag>,
}

impl EnergyMeter {
    /// The import register that came with the start, in Wh. May be called after readings, if the start is late.
    pub fn start(&mut self, occurred_at: Option<DateTime<Utc>>, meter_start_wh: Option<Decimal>) {
        if let Some(wh) = meter_start_wh.filter(is_a_register) {
            self.import.start(occurred_at, wh);
        }
    }

    /// A reading, at the time that was decided for it. `max_power_w` is the outlet's, if it is known.
    ///
    /// Answers the energy imported until that moment, in Wh, if the reading tells it: for a late reading less than
    /// [`energy_wh`](Self::energy_wh), and `None` for one without energy.
    pub fn observe(
        &mut self,
        occurred_at: Option<DateTime<Utc>>,
        measured: &Measured,
        max_power_w: Option<u32>,
    ) -> Option<Decimal> {
        if let Some(wh) = measured.begin_import_register_wh {
            self.import.begin(wh);
        }
        if let Some(wh) = measured.begin_export_register_wh {
            self.export.begin(wh);
        }
        if let Some(wh) = measured.export_register_wh {
            self.export.observe(occurred_at, wh, max_power_w, &mut self.flags);
        }
        add(&mut self.import_intervals_wh, measured.import_interval_wh);
        add(&mut self.export_intervals_wh, measured.export_interval_wh);
        match measured.import_register_wh {
            Some(wh) => self.import.observe(occurred_at, wh, max_power_w, &mut self.flags),
            None => measured.import_interval_wh.and_then(|_| self.energy_wh()),
        }
    }

    /// The import register that came with the stop, in Wh. Answers the energy at the stop as
    /// [`observe`](Self::observe) does.
    pub fn stop(
        &mut self,
        occurred_at: Option<DateTime<Utc>>,
        meter_stop_wh: Option<Decimal>,
        max_power_w: Option<u32>,
    ) -> Option<Decimal> {
        let wh = meter_stop_wh.filter(is_a_register)?;
        self.import.stop(occurred_at, wh, max_power_w, &mut self.flags)
    }

    /// Energy imported by the car since the start, in Wh. `None` is unknown, never 0.
    #[must_use]
    pub fn energy_wh(&self) -> Option<Decimal> {
        self.import.energy_wh().or(self.import_intervals_wh)
    }

    /// Energy fed back by the car, in Wh. `None` is unknown, never 0.
    #[must_use]
    pub fn energy_exported_wh(&self) -> Option<Decimal> {
        self.export.energy_wh().or(self.export_intervals_wh)
    }

    #[must_use]
    pub fn flags(&self) -> &BTreeSet<MeterFlag> {
        &self.flags
    }
}

/// The largest register believed, in Wh, as for sampled values.
const REGISTER_WH_MAX: i64 = 1_000_000_000_000;

fn is_a_register(wh: &Decimal) -> bool {
    (Decimal::ZERO..=Decimal::from(REGISTER_WH_MAX)).contains(wh)
}

fn add(sum: &mut Option<Decimal>, interval_wh: Option<Decimal>) {
    if let Some(wh) = interval_wh {
        *sum = Some((sum.unwrap_or_default() + wh).normalize());
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::MeterFlag::{ImplausibleJump, ImplausibleStart, RegisterReset, StopBelowStart};
    use super::*;

    /// What happens in a row, a minute apart unless it says otherwise.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Start(i64),
        Read(i64),
        /// Minutes after the start, register.
        At(i64, i64),
        Begin(i64),
        Interval(i64),
        Stop(i64),
    }
    use Step::{At, Begin, Interval, Read, Start, Stop};

    fn follow(steps: &[Step], max_power_w: Option<u32>) -> EnergyMeter {
        let began: DateTime<Utc> = "2024-05-01T10:00:00Z".parse().unwrap();
        let mut meter = EnergyMeter::default();
        for (minute, step) in steps.iter().enumerate() {
            let mut at = Some(began + TimeDelta::minutes(i64::try_from(minute).unwrap()));
            let mut measured = Measured::default();
            match *step {
                Start(wh) => meter.start(at, Some(wh.into())),
                Stop(wh) => _ = meter.stop(at, Some(wh.into()), max_power_w),
                Read(wh) => measured.import_register_wh = Some(wh.into()),
                At(minutes, wh) => {
                    at = Some(began + TimeDelta::minutes(minutes));
                    measured.import_register_wh = Some(wh.into());
                }
                Begin(wh) => measured.begin_import_register_wh = Some(wh.into()),
                Interval(wh) => measured.import_interval_wh = Some(wh.into()),
            }
            meter.observe(at, &measured, max_power_w);
            // As it is kept in a state between two reports.
            meter = serde_json::from_str(&serde_json::to_string(&meter).unwrap()).unwrap();
        }
        meter
    }

    #[test]
    fn the_energy_of_a_session() {
        #[rustfmt::skip]
        let table = [
            ("nothing", &[][..], None, &[][..]),
            ("only a start", &[Start(1000)], None, &[]),
            ("one reading alone", &[Read(1000)], None, &[]),
            ("start and stop", &[Start(1000), Stop(1700)], Some(700), &[]),
            ("nothing charged", &[Start(1000), Stop(1000)], Some(0), &[]),
            ("readings", &[Start(1000), Read(1200), Read(1500), Stop(1700)], Some(700), &[]),
            ("no start", &[Read(1200), Read(1500)], Some(300), &[]),
            ("no start, begin", &[Begin(1000), Read(1200), Read(1500)], Some(500), &[]),
            ("no start, late begin", &[Read(1200), Read(1500), Begin(1000)], Some(500), &[]),
            ("late start", &[Read(1200), Read(1500), Start(1000)], Some(500), &[]),
            ("begin differs from a good start", &[Start(1000), Begin(1001), Read(1500)], Some(500), &[]),
            ("reset", &[Start(1000), Read(1500), Read(20), Read(220)], Some(700), &[RegisterReset]),
            ("reset at the first reading", &[Start(1000), Read(20)], None, &[RegisterReset]),
            ("reset per transaction", &[Start(910_000), Read(20), Read(220)], Some(200), &[RegisterReset]),
            ("begin 0, then absolute", &[Start(0), Read(910_000), Read(911_000)], Some(1000), &[ImplausibleStart]),
            ("begin 0 as a reading too", &[Start(0), Begin(0), Read(910_000), Read(911_000)], Some(1000), &[ImplausibleStart]),
            ("begin 0, only a stop", &[Start(0), Stop(910_000)], None, &[ImplausibleStart]),
            ("begin 0, corrected", &[Start(0), Begin(909_500), Read(910_000), Read(911_000)], Some(1500), &[ImplausibleStart]),
            ("begin 0, corrected late", &[Start(0), Read(910_000), Stop(911_000), Begin(909_500)], Some(1500), &[ImplausibleStart]),
            ("a meter that starts at 0", &[Start(0), At(60, 11_000), At(120, 22_000)], Some(22_000), &[]),
            ("one wrong reading", &[Start(1000), Read(1500), Read(910_000), Read(1700), Read(1800)], Some(800), &[ImplausibleJump]),
            ("a jump that stays", &[Start(1000), Read(1500), Read(910_000), Read(910_200)], Some(700), &[ImplausibleJump]),
            ("late readings", &[Start(1000), At(10, 1500), At(5, 1300), Stop(1700)], Some(700), &[]),
            ("stop below start", &[Start(1000), Stop(10)], None, &[RegisterReset, StopBelowStart]),
            ("stop of 0 after readings", &[Start(1000), Read(1500), Stop(0)], Some(500), &[RegisterReset, StopBelowStart]),
            ("intervals", &[Interval(100), Interval(200)], Some(300), &[]),
            ("a register is better than intervals", &[Start(1000), Interval(100), Stop(1700)], Some(700), &[]),
        ];
        for (case, steps, expected, flags) in table {
            let meter = follow(steps, None);
            assert_eq!(meter.energy_wh(), expected.map(Decimal::from), "{case}");
            assert_eq!(meter.flags().iter().copied().collect::<Vec<_>>(), flags, "{case}");
            assert_eq!(meter.energy_exported_wh(), None, "{case}");
        }
    }

    #[test]
    fn the_outlets_power_makes_jumps_visible() {
        let steps = [Start(0), At(60, 80_000), At(120, 91_000)];
        assert_eq!(follow(&steps, Some(11_000)).energy_wh(), Some(11_000.into()));
        assert!(follow(&steps, Some(11_000)).flags().contains(&ImplausibleStart));
        assert_eq!(follow(&steps, Some(150_000)).energy_wh(), Some(91_000.into()));
    }

    #[test]
    fn whole_watt_hours_of_the_stop_are_no_reset() {
        let mut meter = EnergyMeter::default();
        meter.start(None, Some(1000.into()));
        let measured = Measured { import_register_wh: Some(Decimal::new(15007, 1)), ..Measured::default() };
        meter.observe(None, &measured, None);
        meter.stop(None, Some(1500.into()), None);
        assert_eq!(meter.energy_wh(), Some(Decimal::new(5007, 1)));
        assert!(meter.flags().is_empty());
    }

    #[test]
    fn a_reading_tells_the_energy_of_its_own_moment() {
        let mut meter = EnergyMeter::default();
        let minute = |minute: u32| format!("2024-05-01T10:{minute:02}:00Z").parse().ok();
        meter.start(minute(0), Some(1000.into()));
        let mut read = |at, wh: i64| {
            let measured = Measured { import_register_wh: Some(wh.into()), ..Measured::default() };
            meter.observe(at, &measured, None)
        };
        assert_eq!(read(minute(10), 1700), Some(700.into()));
        assert_eq!(read(minute(5), 1300), Some(300.into()), "late");
        assert_eq!(read(minute(20), 50), Some(700.into()), "reset");
        assert_eq!(read(minute(15), 1800), None, "late, and from before the reset");
        assert_eq!(meter.observe(minute(25), &Measured::default(), None), None);
        assert_eq!(meter.stop(minute(30), None, None), None);
        assert_eq!(meter.stop(minute(30), Some(150.into()), None), Some(800.into()));
    }

    #[test]
    fn export_is_separate() {
        let mut meter = EnergyMeter::default();
        for wh in [100, 350] {
            let measured = Measured { export_register_wh: Some(wh.into()), ..Measured::default() };
            meter.observe(None, &measured, None);
        }
        assert_eq!((meter.energy_wh(), meter.energy_exported_wh()), (None, Some(250.into())));
    }
}
