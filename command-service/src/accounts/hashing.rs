//! argon2id, off the async threads, a bounded number at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use application::argon;
use application::credential::CanonicalPassword;
use argon2::{Params, password_hash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Password;

/// What one hash costs. The defaults are OWASP's for argon2id: 19 MiB, 2 passes, 1 lane; about 20 ms of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    pub memory_kib: u32,
    pub passes: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// How many hashes are computed at a time, and how many wait for their turn. What comes then is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashQueue {
    /// Threads that hash, or wait for one of the memories to hash in, which chargers that connect use too.
    pub parallel_max: usize,
    /// Bounds the wait: a second, by the default cost on two cores.
    pub waiting_max: usize,
}

impl Default for HashQueue {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { parallel_max: cores.min(8), waiting_max: 64 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue is full.
    #[error("more passwords are waiting to be checked than is allowed")]
    Busy,
    #[error("the password can't be hashed")]
    Argon2(#[from] password_hash::Error),
    #[error("the cost of hashing is outside of what argon2 allows")]
    Cost(#[from] argon2::Error),
    #[error("hashing was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl Error {
    /// When a place in the queue will be free.
    pub const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);
}

/// Hashes and verifies passwords. A cheap handle.
#[derive(Clone)]
pub struct PasswordHasher {
    params: Params,
    /// Verified in place of an account that isn't there, so that nobody learns from the time an answer takes.
    nobody: Arc<str>,
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl PasswordHasher {
    /// # Errors
    /// [`Error::Cost`].
    pub fn new(cost: HashCost, queue: HashQueue) -> Result<Self, Error> {
        Ok(Self {
            params: Params::new(cost.memory_kib, cost.passes, 1, None)?,
            nobody: hash_of_nobody(cost).into(),
            running: Arc::new(Semaphore::new(queue.parallel_max)),
            places: Arc::new(Semaphore::new(queue.parallel_max + queue.waiting_max)),
        })
    }

    /// The hash with its salt and parameters, as a PHC string.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let params = self.params.clone();
        self.compute(move || Ok(argon::hash(&params, password.as_bytes())?)).await
    }

    /// The same of a charger's password, in the one form in which it will be compared.
    pub async fn hash_for_charger(&self, password: CanonicalPassword) -> Result<String, Error> {
        let params = self.params.clone();
        self.compute(move || Ok(argon::hash(&params, password.as_bytes())?)).await
    }

    /// Whether the password is the one that was hashed; without a hash it never is, after the same time.
    pub async fn verify(&self, password: Password, hash: Option<&str>) -> Result<bool, Error> {
        let expected = hash.unwrap_or(&self.nobody).to_owned();
        let matches = self.compute(move || Ok(argon::matches(&expected, password.as_bytes())?)).await?;
        Ok(matches && hash.is_some())
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            metrics::counter!("coulomb_command_service_password_hashes_turned_away_total").increment(1);
            Error::Busy
        })?;
        let waiting = Waiting::begin();
        // Never closed; were it, there would be no turn to wait for.
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        drop(waiting);
        // The permits go into the thread: a caller that has gone away does not make room for more than can run.
        tokio::task::spawn_blocking(move || {
            let _permits: [OwnedSemaphorePermit; 2] = [place, turn];
            let started = Instant::now();
            let result = work();
            metrics::histogram!("coulomb_command_service_password_hash_duration_seconds")
                .record(started.elapsed().as_secs_f64());
            result
        })
        .await?
    }
}

/// Counts one that waits for its turn, however the wait ends.
struct Waiting;

impl Waiting {
    const GAUGE: &str = "coulomb_command_service_password_hashes_waiting";

    fn begin() -> Self {
        metrics::gauge!(Self::GAUGE).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(Self::GAUGE).decrement(1.0);
    }
}

/// A hash that costs as much to verify as any, of no password that anybody knows.
fn hash_of_nobody(cost: HashCost) -> String {
    let HashCost { memory_kib, passes } = cost;
    let salt = STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>());
    let output = STANDARD_NO_PAD.encode(rand::random::<[u8; 32]>());
    format!("$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${output}")
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHash;

    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1 };

    fn password(text: &str) -> Password {
        Password::choose(text).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let hasher = PasswordHasher::new(CHEAP, HashQueue::default()).unwrap();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(hasher.verify(password("correct horse"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(password("battery staple"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(password("correct horse"), None).await.unwrap());
        // Hashes of an earlier cost are still verified.
        let dearer = PasswordHasher::new(HashCost { memory_kib: 16, passes: 1 }, HashQueue::default()).unwrap();
        assert!(dearer.verify(password("correct horse"), Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobodys_hash_costs_the_same() {
        let default = HashCost::default();
        let nobody = hash_of_nobody(default);
        let params = Params::try_from(&PasswordHash::new(&nobody).unwrap()).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (default.memory_kib, default.passes, 1));
    }

    #[tokio::test]
    async fn a_full_queue_turns_away() {
        let queue = HashQueue { parallel_max: 1, waiting_max: 1 };
        let hasher = PasswordHasher::new(CHEAP, queue).unwrap();
        let running = Arc::clone(&hasher.running).acquire_owned().await.unwrap();
        let _running_place = Arc::clone(&hasher.places).acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.hash(password("correct horse")).await }
        });
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hasher.hash(password("correct horse")).await, Err(Error::Busy)));
        drop(running);
        assert!(waiting.await.unwrap().is_ok());
    }
}
