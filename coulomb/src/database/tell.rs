//! Which server is the primary, and whether a failover can lose anything: on `/ready`, in metrics and in the log.

use pool::{Replication, State};
use service_host::Readiness;
use tokio::sync::watch;

/// The part of `/ready` that is degraded.
const REPLICATION: &str = "replication";
const AT_RISK: &str = "replication is asynchronous: a failover may lose what was acknowledged in the last moments. Set \
                       synchronous_standby_names on the primary (docs/postgres.md)";

/// Tells for as long as the pool is used.
pub async fn tell(mut state: watch::Receiver<State>, readiness: Readiness) {
    let mut told = None;
    loop {
        let now = state.borrow_and_update().clone();
        let at_risk = match now.replication {
            Replication::Asynchronous { .. } => Some(AT_RISK),
            Replication::None | Replication::Synchronous { .. } => None,
        };
        let synchronous = matches!(now.replication, Replication::Synchronous { .. });
        metrics::gauge!("coulomb_database_replication_synchronous").set(f64::from(u8::from(synchronous)));
        metrics::gauge!("coulomb_database_standbys").set(now.replication.standbys());
        metrics::gauge!("coulomb_database_primary_known").set(f64::from(u8::from(now.primary.is_some())));
        readiness.tell("database", now.to_string());
        readiness.degrade(REPLICATION, at_risk.map(str::to_owned));
        if at_risk != told.flatten() {
            match at_risk {
                Some(why) => tracing::warn!(state = %now, "{why}"),
                None => {
                    tracing::info!(state = %now, "what is acknowledged is safe from a failover, as far as it is known")
                }
            }
        }
        told = Some(at_risk);
        if state.changed().await.is_err() {
            return;
        }
    }
}
