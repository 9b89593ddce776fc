//! What a car takes from an outlet.

/// Between two steps of the calculation: power bends slowly.
const STEP_S: f64 = 5.0;
/// From nothing to full power.
const RAMP_S: f64 = 12.0;
/// Below this, the car has ended the charge.
const POWER_MIN_W: f64 = 50.0;

/// A car with its battery, plugged in.
#[derive(Debug, Clone, PartialEq)]
pub struct Car {
    pub battery_wh: f64,
    /// 0 to 1.
    pub charge: f64,
    /// What it can take at most, in W.
    pub power_max_w: f64,
    /// 0 to 1: at which charge it ends by itself.
    pub charge_limit: f64,
}

impl Default for Car {
    fn default() -> Self {
        Self { battery_wh: 60_000.0, charge: 0.3, power_max_w: 120_000.0, charge_limit: 1.0 }
    }
}

impl Car {
    pub fn is_full(&self) -> bool {
        self.charge >= self.charge_limit
    }

    /// What it takes at this charge in W, `since_s` seconds after the charge began, where the outlet gives at most
    /// `outlet_w`.
    ///
    /// Direct current falls linearly from 60 % on to a twentieth at the end; the charger in the car, for alternating
    /// current, holds its power nearly to the end.
    pub fn power_w(&self, outlet_w: f64, dc: bool, since_s: f64) -> f64 {
        if self.is_full() {
            return 0.0;
        }
        let bend = if dc { 0.6 } else { 0.95 };
        let taper = if self.charge <= bend { 1.0 } else { 1.0 - 0.95 * (self.charge - bend) / (1.0 - bend) };
        let acceptable_w = self.power_max_w * taper;
        let ramp = (since_s / RAMP_S).clamp(0.0, 1.0);
        let power_w = outlet_w.min(acceptable_w) * ramp;
        if since_s > RAMP_S && power_w < POWER_MIN_W { 0.0 } else { power_w }
    }

    /// Charges for `elapsed_s` seconds, `since_s` seconds after the charge began, and says how many Wh went in.
    pub fn charge_for(&mut self, outlet_w: f64, dc: bool, since_s: f64, elapsed_s: f64) -> f64 {
        let (mut passed_s, mut taken_wh) = (0.0, 0.0);
        while passed_s < elapsed_s && !self.is_full() {
            let step_s = STEP_S.min(elapsed_s - passed_s);
            let wanted_wh = self.power_w(outlet_w, dc, since_s + passed_s + step_s / 2.0) * step_s / 3600.0;
            let room_wh = (self.charge_limit - self.charge) * self.battery_wh;
            let step_wh = wanted_wh.min(room_wh);
            self.charge =
                if wanted_wh >= room_wh { self.charge_limit } else { self.charge + step_wh / self.battery_wh };
            taken_wh += step_wh;
            passed_s += step_s;
        }
        taken_wh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_current_bends_and_alternating_current_holds() {
        let at = |charge: f64| Car { charge, power_max_w: 150_000.0, ..Car::default() };
        assert_eq!(at(0.3).power_w(150_000.0, true, 60.0), 150_000.0);
        assert_eq!(at(0.3).power_w(50_000.0, true, 60.0), 50_000.0, "the outlet is the limit");
        let at_80 = at(0.8).power_w(150_000.0, true, 60.0);
        assert!((70_000.0..90_000.0).contains(&at_80), "{at_80}");
        assert!(at(0.99).power_w(150_000.0, true, 60.0) < 15_000.0);
        let onboard = |charge: f64| Car { charge, power_max_w: 11_000.0, ..Car::default() };
        assert_eq!(onboard(0.9).power_w(22_000.0, false, 60.0), 11_000.0);
        assert_eq!(at(1.0).power_w(22_000.0, false, 60.0), 0.0);
        assert_eq!(at(0.3).power_w(22_000.0, false, 0.0), 0.0, "power rises from nothing");
    }

    #[test]
    fn a_battery_takes_what_it_lacks_and_no_more() {
        let mut car = Car { battery_wh: 60_000.0, charge: 0.5, power_max_w: 100_000.0, charge_limit: 0.8 };
        let taken_wh = car.charge_for(150_000.0, true, 0.0, 4.0 * 3600.0);
        assert!((taken_wh - 18_000.0).abs() < 1.0, "{taken_wh}");
        assert!(car.is_full());
        assert_eq!(car.charge_for(150_000.0, true, 0.0, 60.0), 0.0);
    }

    #[test]
    fn it_matters_little_how_often_one_looks() {
        let (mut once, mut often) = (Car::default(), Car::default());
        let all_wh = once.charge_for(50_000.0, true, 0.0, 600.0);
        let parts_wh: f64 = (0..60).map(|part| often.charge_for(50_000.0, true, f64::from(part) * 10.0, 10.0)).sum();
        assert!((all_wh - parts_wh).abs() < 0.001 * all_wh, "{all_wh} and {parts_wh}");
    }
}
