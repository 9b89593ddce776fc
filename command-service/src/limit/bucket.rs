//! Token buckets, one for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Buckets of one limiter. Beyond, those are forgotten that are nearest to full.
const BUCKETS_MAX: usize = 100_000;

/// A bucket's size, and how long it takes to gain one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub burst: u32,
    pub refill: Duration,
}

impl Rate {
    /// From empty to full.
    fn fill(self) -> TimeDelta {
        self.one() * i32::try_from(self.burst).unwrap_or(i32::MAX)
    }

    fn one(self) -> TimeDelta {
        TimeDelta::from_std(self.refill).unwrap_or(TimeDelta::days(1))
    }
}

/// The bucket is empty; after this time it has a token again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too often, again in {} s", .retry_after.as_secs_f32())]
pub struct Exhausted {
    pub retry_after: Duration,
}

/// Token buckets of one rate.
///
/// Of each key only the moment is kept at which its bucket will be full again, so one that is full need not be kept at
/// all: forgetting those loses nothing.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    buckets_max: usize,
    full_at: Mutex<HashMap<K, DateTime<Utc>>>,
}

impl<K: Hash + Eq> Limiter<K> {
    pub fn new(rate: Rate) -> Self {
        Self::with_buckets_max(rate, BUCKETS_MAX)
    }

    fn with_buckets_max(rate: Rate, buckets_max: usize) -> Self {
        Self { rate, buckets_max, full_at: Mutex::default() }
    }

    /// Takes a token of the key's bucket.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&self, key: K, now: DateTime<Utc>) -> Result<(), Exhausted> {
        let mut buckets = self.lock();
        if buckets.len() >= self.buckets_max && !buckets.contains_key(&key) {
            make_room(&mut buckets, now);
        }
        // A clock that was set back must not lock anybody out for longer than an empty bucket does.
        let emptiest = now + self.rate.fill();
        let full_at = buckets.get(&key).copied().unwrap_or(now).clamp(now, emptiest) + self.rate.one();
        if full_at > emptiest {
            return Err(Exhausted { retry_after: (full_at - emptiest).to_std().unwrap_or_default() });
        }
        buckets.insert(key, full_at);
        Ok(())
    }

    /// Puts a token back: what it was taken for did not count.
    pub fn give_back(&self, key: &K) {
        if let Some(full_at) = self.lock().get_mut(key) {
            *full_at -= self.rate.one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, DateTime<Utc>>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets full buckets, and if that is not a quarter of all, the half that is nearest to full: so the cost is spread over
/// many calls, and who was refused just now stays known.
fn make_room<K: Hash + Eq>(buckets: &mut HashMap<K, DateTime<Utc>>, now: DateTime<Utc>) {
    let before = buckets.len();
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() > before / 4 * 3 {
        let mut moments: Vec<_> = buckets.values().copied().collect();
        let middle = moments.len() / 2;
        let median = *moments.select_nth_unstable(middle).1;
        let mut to_go = middle + 1;
        buckets.retain(|_, full_at| {
            let goes = to_go > 0 && *full_at <= median;
            to_go -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, refill: Duration::from_secs(10) };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn refused_for(limiter: &Limiter<&str>, key: &'static str, now: DateTime<Utc>) -> Option<u64> {
        limiter.take(key, now).err().map(|exhausted| exhausted.retry_after.as_secs())
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_refill() {
        let limiter = Limiter::new(RATE);
        let table = [
            (0, "a", None),
            (0, "a", None),
            (0, "a", None),
            (0, "a", Some(10)),
            (0, "b", None),
            (4, "a", Some(6)),
            (10, "a", None),
            (10, "a", Some(10)),
            (1000, "a", None),
            (1000, "a", None),
            (1000, "a", None),
            (1000, "a", Some(10)),
            // The clock was set back by an hour: no worse than empty.
            (-2600, "a", Some(10)),
            (-2590, "a", Some(10)),
        ];
        for (n, (second, key, expected)) in table.into_iter().enumerate() {
            assert_eq!(refused_for(&limiter, key, at(second)), expected, "step {n}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let limiter = Limiter::new(RATE);
        for _ in 0..100 {
            limiter.take("a", at(0)).unwrap();
            limiter.give_back(&"a");
        }
        for _ in 0..3 {
            limiter.take("a", at(0)).unwrap();
        }
        assert!(limiter.take("a", at(0)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_the_emptiest_stay_known() {
        let limiter = Limiter::with_buckets_max(RATE, 100);
        for _ in 0..3 {
            limiter.take(0, at(0)).unwrap();
        }
        for key in 1..10_000 {
            limiter.take(key, at(0)).unwrap();
            assert!(limiter.lock().len() <= 100);
        }
        assert!(limiter.take(0, at(0)).is_err());
    }
}
