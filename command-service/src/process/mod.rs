//! Process managers: what follows from the log without anybody asking for it.
//!
//! A [`Manager`](manager::Manager) reads the events of the partitions that it holds by lease, and says what is to be done
//! at once and what later. The [`runner`] does it, and then commits checkpoint and timers in one transaction under the
//! leases. A crash in between does it again: under the same ids, and looking at the present state, so that nothing happens
//! twice. Managers follow the live log only; a rebuild or a replay of a read model does not wake them.

mod backoff;
mod charging;
mod edges;
mod manager;
mod options;
mod privacy;
mod runner;
#[cfg(test)]
mod tests;

use application::Application;
use pool::Pool;
use service_host::{Readiness, Shutdown};

use charging::Charging;
use edges::EdgeWatch;
use runner::Runner;

pub use options::Options;

/// Runs all process managers of this process, beside those of others, until `shutdown` begins.
///
/// What is under way then is given up, which is safe: another owner does it.
pub async fn run(
    application: Application,
    pool: impl Into<Pool>,
    options: Options,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let pool = pool.into();
    let charging = Charging::new(application.clone(), &options);
    let gate = readiness.gate("process manager: charging");
    let charging = Runner::new(charging, application.store().clone(), pool.clone(), options.clone(), gate);
    let privacy = privacy::run(application.clone(), pool.clone(), shutdown.clone());
    let edges = EdgeWatch::new(application, pool, options, readiness);
    tokio::join!(charging.run(shutdown.clone()), edges.run(shutdown), privacy);
}
