use std::ops::Range;
use std::time::Duration;

use rand::Rng;

/// How fast people live.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Between two charges of one person.
    pub idle: Range<Duration>,
    /// How long they charge.
    pub charge: Range<Duration>,
    /// From the request to the plug, for those who ask first.
    pub fumble: Range<Duration>,
    /// Between two failures of the network or a charger, in the whole town.
    pub trouble: Range<Duration>,
    /// How long each lasts.
    pub outage: Range<Duration>,
    /// For how long somebody waits for a charge to begin or to end before they leave.
    pub patience: Duration,
}

impl Pace {
    /// Something to see every few seconds, and charges that one can follow.
    pub fn of_a_demo() -> Self {
        let seconds = Duration::from_secs;
        Self {
            idle: seconds(5)..seconds(40),
            charge: seconds(40)..seconds(180),
            fumble: seconds(2)..seconds(15),
            trouble: seconds(20)..seconds(60),
            outage: seconds(5)..seconds(25),
            patience: seconds(150),
        }
    }

    /// As much as possible at once, for tests.
    pub fn hectic() -> Self {
        let millis = Duration::from_millis;
        Self {
            idle: millis(50)..millis(800),
            charge: millis(300)..millis(3_000),
            fumble: millis(20)..millis(300),
            trouble: millis(200)..millis(1_500),
            outage: millis(100)..millis(1_500),
            patience: Duration::from_secs(20),
        }
    }
}

pub(super) fn some(range: &Range<Duration>, rng: &mut impl Rng) -> Duration {
    rng.random_range(range.clone())
}
