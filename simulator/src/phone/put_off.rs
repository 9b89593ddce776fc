//! Topics of which nothing comes for the moment, and when each is asked for again (docs/websocket.md, "Coming back").

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::error::Problem;

#[derive(Debug, Default)]
pub struct PutOff {
    until: BTreeMap<String, Instant>,
}

impl PutOff {
    /// When the topic is to be asked for again: after as long as the server says, and a random time of up to as long, so
    /// that not all whom it could not answer come at once. None if it can't be followed at all.
    pub fn put_off(&mut self, topic: &str, problem: &Problem, rng: &mut impl Rng) -> Option<Duration> {
        let least = Duration::from_secs(problem.retry_after_s?);
        let wait = rng.random_range(least..=least * 2);
        self.until.insert(topic.to_owned(), Instant::now() + wait);
        Some(wait)
    }

    /// It is asked for already, or nobody wants it any more.
    pub fn forget(&mut self, topic: &str) {
        self.until.remove(topic);
    }

    /// Returns with a topic when its time has come; never, if there is none. Its place is kept until it is forgotten.
    pub async fn next(&self) -> String {
        match self.until.iter().min_by_key(|(_, until)| **until) {
            Some((topic, until)) => {
                sleep_until(*until).await;
                topic.clone()
            }
            None => std::future::pending().await,
        }
    }
}
