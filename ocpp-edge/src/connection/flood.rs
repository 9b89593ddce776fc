use tokio::time::Instant;

/// A token bucket for the messages of one socket.
#[derive(Debug)]
pub struct Flood {
    burst: f64,
    per_s: f64,
    left: f64,
    at: Instant,
}

impl Flood {
    pub fn new(burst: u32, per_s: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, per_s: f64::from(per_s), left: burst, at: now }
    }

    /// Counts one message. False: it is one too many.
    pub fn take(&mut self, now: Instant) -> bool {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * self.per_s;
        self.left = (self.left + refilled).min(self.burst);
        self.at = now;
        let fits = self.left >= 1.0;
        if fits {
            self.left -= 1.0;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let start = Instant::now();
        let mut flood = Flood::new(3, 2, start);
        assert!((0..3).all(|_| flood.take(start)));
        assert!(!flood.take(start));
        let later = start + Duration::from_millis(1_000);
        assert!(flood.take(later) && flood.take(later) && !flood.take(later));
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| flood.take(much_later)).count(), 3);
    }
}
