//! Erasures that were cut off are carried on, and keys whose retention has ended are destroyed.
//!
//! Several processes may do it at once: each step may be done twice.

use std::time::Duration;

use application::Application;
use application::vault::rotation;
use pool::Pool;
use service_host::Shutdown;

const EVERY: Duration = Duration::from_secs(60);

/// Until `shutdown` begins.
pub(super) async fn run(application: Application, pool: Pool, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = round(&application, &pool) => {}
        }
    }
}

async fn round(application: &Application, pool: &Pool) {
    if let Err(error) = application::erasure::carry_on(application).await {
        tracing::warn!(%error, "erasures that were cut off can't be carried on");
    }
    match rotation::expire(pool).await {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "keys whose retention has ended were destroyed"),
        Err(error) => tracing::warn!(%error, "keys whose retention has ended can't be destroyed"),
    }
}
