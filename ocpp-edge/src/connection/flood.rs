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

    #[test]
    fn what_was_kept_for_eight_hours_is_no_flood() {
        let limits = crate::Limits::default();
        let start = Instant::now();
        let mut flood = Flood::new(limits.messages_burst, limits.messages_per_s, start);
        // A reading every ten seconds from each of four connectors, and a dozen sessions, all within three seconds.
        let messages = 4 * 8 * 360 + 12 * 5;
        let at = |message: u32| start + Duration::from_secs(3) * message / messages;
        assert!((0..messages).all(|message| flood.take(at(message))));
        // It goes on as chargers do, and is then heard like any other.
        assert!((1..600).all(|second| flood.take(start + Duration::from_secs(3 + second))));
    }

    #[test]
    fn who_never_stops_is_a_flood() {
        let limits = crate::Limits::default();
        let start = Instant::now();
        let mut flood = Flood::new(limits.messages_burst, limits.messages_per_s, start);
        let at = |message: u32| start + Duration::from_millis(message.into());
        let taken = (0..60_000).take_while(|message| flood.take(at(*message))).count();
        assert!((20_000..30_000).contains(&taken), "{taken}");
    }
}
