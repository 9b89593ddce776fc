//! Topics of which nothing comes for the moment, and when each is asked for again (docs/websocket.md, "Coming back").

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::error::Problem;
use crate::Backoff;

/// In seconds. Whoever says less or more is no server that means it.
const SAID_MIN_S: u64 = 1;
const SAID_MAX_S: u64 = 30;
/// Of a wait, with what is random of it.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct PutOff {
    topics: BTreeMap<String, Refused>,
}

#[derive(Debug)]
struct Refused {
    backoff: Backoff,
    /// None: it is asked for already, and not answered yet.
    again_at: Option<Instant>,
}

impl PutOff {
    /// When the topic is to be asked for again: after as long as the server says, twice as long each further time, and a
    /// random time of up to as long, so that not all whom it could not answer come at once. None if it can't be followed.
    pub fn put_off(&mut self, topic: &str, problem: &Problem, rng: &mut impl Rng) -> Option<Duration> {
        // Half of a step is waited in any case.
        let step = Duration::from_secs(problem.retry_after_s?.clamp(SAID_MIN_S, SAID_MAX_S)) * 2;
        let fresh = || Refused { backoff: Backoff::new(step, LONGEST), again_at: None };
        let refused = self.topics.entry(topic.to_owned()).or_insert_with(fresh);
        refused.backoff.begin_with(step);
        let wait = refused.backoff.next(rng);
        refused.again_at = Some(Instant::now() + wait);
        Some(wait)
    }

    /// It has been answered, or nobody wants it any more.
    pub fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Asked for again, it may be refused again.
    pub fn asked(&mut self, topic: &str) {
        if let Some(refused) = self.topics.get_mut(topic) {
            refused.again_at = None;
        }
    }

    /// Returns with a topic when it is to be asked for; never, if there is none. It is the next one until that is said.
    pub async fn next(&self) -> String {
        let waiting = self.topics.iter().filter_map(|(topic, refused)| Some((refused.again_at?, topic)));
        match waiting.min() {
            Some((again_at, topic)) => {
                sleep_until(again_at).await;
                topic.clone()
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn refusal(retry_after_s: Option<u64>) -> Problem {
        let (kind, title, detail) = ("/problems/unavailable".to_owned(), String::new(), String::new());
        Problem { kind, title, status: 503, detail, retry_after_s }
    }

    #[test]
    fn each_wait_is_longer_and_none_is_without_measure() {
        let mut rng = SmallRng::seed_from_u64(1);
        // What is said, and of each time between what the wait is.
        let table = [
            (1, [(1, 2), (2, 4), (4, 8)]),
            (5, [(5, 10), (10, 20), (20, 40)]),
            (0, [(1, 2), (2, 4), (4, 8)]),
            (u64::MAX, [(30, 60), (30, 60), (30, 60)]),
        ];
        for (said_s, waits_s) in table {
            let mut put_off = PutOff::default();
            for (least_s, most_s) in waits_s {
                let wait = put_off.put_off("me", &refusal(Some(said_s)), &mut rng).expect("it is to be tried again");
                let expected = Duration::from_secs(least_s)..=Duration::from_secs(most_s);
                assert!(expected.contains(&wait), "{said_s}: {wait:?} of {expected:?}");
            }
            put_off.forget("me");
            let wait = put_off.put_off("me", &refusal(Some(said_s)), &mut rng);
            assert!(wait <= Some(Duration::from_secs(waits_s[0].1)), "it was answered in between: {wait:?}");
        }
        assert_eq!(PutOff::default().put_off("me", &refusal(None), &mut rng), None);
    }

    /// Those whom a server could not answer do not come in one moment.
    #[test]
    fn waits_are_spread() {
        let of = |phone| PutOff::default().put_off("me", &refusal(Some(1)), &mut SmallRng::seed_from_u64(phone));
        let mut tenths = [0; 10];
        for phone in 0..10_000 {
            let over = of(phone).expect("it is to be tried again") - Duration::from_secs(1);
            tenths[usize::try_from(over.as_millis() / 100).expect("small").min(9)] += 1;
        }
        assert!(tenths.iter().all(|phones| (800..1_200).contains(phones)), "{tenths:?}");
    }

    #[tokio::test]
    async fn only_what_waits_is_asked_for() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut put_off = PutOff::default();
        for topic in ["charger:1", "charger:2"] {
            put_off.put_off(topic, &refusal(Some(1)), &mut rng);
        }
        let first = put_off.next().await;
        put_off.asked(&first);
        let second = put_off.next().await;
        assert_ne!(first, second);
        put_off.forget(&second);
        assert!(tokio::time::timeout(Duration::from_millis(50), put_off.next()).await.is_err());
    }
}
