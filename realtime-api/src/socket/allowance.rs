//! How much one client may say: a token bucket that needs no timer.

use std::time::Instant;

#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    left: f32,
    at: Instant,
}

/// At once, and then in each second.
#[derive(Debug, Clone, Copy)]
pub struct MessageRate {
    pub burst: u16,
    pub per_second: u16,
}

impl Allowance {
    pub fn new(rate: MessageRate, now: Instant) -> Self {
        Self { left: f32::from(rate.burst), at: now }
    }

    /// Whether one more is allowed.
    pub fn take(&mut self, rate: MessageRate, now: Instant) -> bool {
        let refill = now.duration_since(self.at).as_secs_f32() * f32::from(rate.per_second);
        self.left = (self.left + refill).min(f32::from(rate.burst));
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = MessageRate { burst: 3, per_second: 2 };
        let start = Instant::now();
        let mut allowance = Allowance::new(rate, start);
        let mut taken = |after_ms| allowance.take(rate, start + Duration::from_millis(after_ms));
        assert_eq!(
            [0, 0, 0, 0, 499, 500, 1000, 1001, 60_000].map(&mut taken),
            [true, true, true, false, false, true, true, false, true]
        );
    }
}
