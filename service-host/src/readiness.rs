//! Whether a process should get work: named checks, each ready or not for a reason.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::shutdown::Shutdown;

/// A check that has not answered by then counts as not ready.
const CHECK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why a part is not ready, in words for an operator. Holds nothing secret: `/ready` shows it to anyone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), NotReady>> + Send>>;
type Check = Arc<dyn Fn() -> CheckFuture + Send + Sync>;

/// The readiness checks of one process; cheap to clone.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<String, Check>>>,
    degraded: Arc<Mutex<BTreeMap<String, String>>>,
    told: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Registers a check that is asked on each `/ready`. A later check of the same name replaces the earlier one.
    pub fn register<F, Fut>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), NotReady>> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), check);
    }

    /// Registers a part that says by itself when it is ready; until then it is "starting".
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let gate = Gate { state: Arc::new(Mutex::new(Err(NotReady("starting".to_owned())))) };
        let state = Arc::clone(&gate.state);
        self.register(name, move || {
            let now = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
            std::future::ready(now)
        });
        gate
    }

    /// Not ready from the moment on at which the end of the process is announced: balancers send nothing new.
    pub fn until(&self, shutdown: &Shutdown) {
        let shutdown = shutdown.clone();
        self.register("shutdown", move || {
            let ending = shutdown.is_announced();
            std::future::ready(if ending { Err(NotReady("shutting down".to_owned())) } else { Ok(()) })
        });
    }

    /// Says that a part works, but not all of it, and why; none: all of it does. The process stays ready.
    pub fn degrade(&self, name: impl Into<String>, why: Option<String>) {
        let mut degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => degraded.insert(name.into(), why),
            None => degraded.remove(&name.into()),
        };
    }

    /// What an operator may want to know of a part, such as which server it uses. Nothing secret.
    pub fn tell(&self, name: impl Into<String>, what: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), what);
    }

    /// What was told, by name.
    pub fn told(&self) -> BTreeMap<String, String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is degraded, by name.
    pub fn degraded(&self) -> BTreeMap<String, String> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks every check, one after another: what is not ready, by name. Empty means ready.
    pub async fn not_ready(&self) -> BTreeMap<String, NotReady> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut failed = BTreeMap::new();
        for (name, check) in checks {
            let answer = tokio::time::timeout(CHECK_WAIT_MAX, check())
                .await
                .unwrap_or_else(|_| Err(NotReady(format!("no answer within {} s", CHECK_WAIT_MAX.as_secs()))));
            if let Err(reason) = answer {
                failed.insert(name, reason);
            }
        }
        failed
    }
}

/// The handle of a part that reports its own readiness.
#[derive(Clone)]
pub struct Gate {
    state: Arc<Mutex<Result<(), NotReady>>>,
}

impl Gate {
    pub fn ready(&self) {
        self.set(Ok(()));
    }

    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Err(NotReady(reason.into())));
    }

    fn set(&self, state: Result<(), NotReady>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
