use std::time::Duration;

use rand::Rng;

/// How long to wait before the next attempt: doubled after each failure, and spread so that many clients which lost the
/// same server don't come back at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    /// Of a step, what is waited at the least.
    least: f64,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, least: 0.5 }
    }

    /// Each wait is anything up to its step.
    pub fn spread_widely(first: Duration, longest: Duration) -> Self {
        Self { least: 0.0, ..Self::new(first, longest) }
    }

    /// Nothing has failed since it worked.
    pub fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// It worked: the next failure begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The first step is another from now on; what has failed counts on.
    pub fn begin_with(&mut self, first: Duration) {
        self.first = first;
    }

    /// Between half of the present step, or nothing, and the whole of it.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let step = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(rng.random_range(self.least..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_begins_anew() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for step_ms in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next(&mut rng).as_millis();
            assert!((step_ms / 2..=step_ms).contains(&wait), "{wait} of {step_ms}");
        }
        for _ in 0..100 {
            backoff.next(&mut rng);
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(100));
    }
}
