use tokio::time::Instant;

use crate::config::Limits;

/// Whether a charger is still there. A half-open socket looks like a silent one.
#[derive(Debug)]
pub struct Liveness {
    heard: Instant,
    /// A ping that nothing was heard after.
    pinged: Option<Instant>,
    /// Some never answer pings; they are judged by their heartbeats alone.
    answers_pings: bool,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Ping,
    GiveUp,
}

impl Liveness {
    pub fn new(now: Instant) -> Self {
        Self { heard: now, pinged: None, answers_pings: false }
    }

    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub fn ponged(&mut self, now: Instant) {
        self.answers_pings |= self.pinged.is_some();
        self.heard(now);
    }

    /// When to look again.
    pub fn due(&self, limits: &Limits) -> Instant {
        match self.pinged {
            None => self.heard + limits.ping_after,
            Some(pinged) if self.answers_pings => pinged + limits.pong_wait_max,
            Some(pinged) => (pinged + limits.ping_after).min(self.heard + limits.silence_max),
        }
    }

    pub fn check(&mut self, now: Instant, limits: &Limits) -> Due {
        if now < self.due(limits) {
            return Due::Nothing;
        }
        let silent = now >= self.heard + limits.silence_max;
        if silent || (self.pinged.is_some() && self.answers_pings) {
            return Due::GiveUp;
        }
        self.pinged = Some(now);
        Due::Ping
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Limits {
        Limits {
            ping_after: Duration::from_secs(50),
            pong_wait_max: Duration::from_secs(20),
            silence_max: Duration::from_secs(200),
            ..Limits::default()
        }
    }

    /// What is due at each second from 0 to 300, where it is something.
    fn course(liveness: &mut Liveness, start: Instant) -> Vec<(u64, Due)> {
        let at = |s| (s, liveness.check(start + Duration::from_secs(s), &limits()));
        let course: Vec<_> = (0..=300).map(at).filter(|(_, due)| *due != Due::Nothing).collect();
        let end = course.iter().position(|(_, due)| *due == Due::GiveUp).map_or(course.len(), |end| end + 1);
        course.into_iter().take(end).collect()
    }

    #[test]
    fn one_that_never_answers_pings_is_given_up_when_its_heartbeats_stop() {
        let start = Instant::now();
        let expected = [(50, Due::Ping), (100, Due::Ping), (150, Due::Ping), (200, Due::GiveUp)];
        assert_eq!(course(&mut Liveness::new(start), start), expected);
    }

    #[test]
    fn one_that_has_answered_pings_is_given_up_soon() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.check(start + Duration::from_secs(50), &limits()), Due::Ping);
        let ponged = start + Duration::from_secs(51);
        liveness.ponged(ponged);
        assert_eq!(course(&mut liveness, ponged), [(50, Due::Ping), (70, Due::GiveUp)]);
    }

    #[test]
    fn a_pong_that_nobody_asked_for_proves_nothing() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.ponged(start);
        assert_eq!(course(&mut liveness, start).last(), Some(&(200, Due::GiveUp)));
    }
}
