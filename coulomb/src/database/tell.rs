//! Which server is the primary, whether commits hang, and whether a failover can lose anything: on `/ready`, in metrics and
//! in the log.

use pool::{Replication, State};
use service_host::Readiness;
use tokio::sync::watch;

/// The part of `/ready` that is degraded.
const REPLICATION: &str = "replication";
const AT_RISK: &str = "replication is asynchronous: a failover may lose what was acknowledged in the last moments. Set \
                       synchronous_standby_names on the primary (docs/postgres.md)";
const HANGS: &str = "commits wait for a standby that is not there: start it, or empty synchronous_standby_names on the \
                     primary (docs/postgres.md)";

/// Tells for as long as the pool is used.
pub async fn tell(mut state: watch::Receiver<State>, readiness: Readiness) {
    let mut told = None;
    loop {
        let now = state.borrow_and_update().clone();
        let wrong = wrong(now.replication);
        let synchronous = matches!(now.replication, Replication::Synchronous { .. } | Replication::Hanging { .. });
        metrics::gauge!("coulomb_database_replication_synchronous").set(f64::from(u8::from(synchronous)));
        metrics::gauge!("coulomb_database_standbys").set(now.replication.standbys());
        metrics::gauge!("coulomb_database_standbys_missing").set(now.replication.missing());
        metrics::gauge!("coulomb_database_primary_known").set(f64::from(u8::from(now.primary.is_some())));
        readiness.tell("database", now.to_string());
        readiness.degrade(REPLICATION, wrong.map(str::to_owned));
        if wrong != told.flatten() {
            match wrong {
                Some(why) => tracing::warn!(state = %now, "{why}"),
                None => {
                    tracing::info!(state = %now, "what is acknowledged is safe from a failover, as far as it is known")
                }
            }
        }
        told = Some(wrong);
        if state.changed().await.is_err() {
            return;
        }
    }
}

fn wrong(replication: Replication) -> Option<&'static str> {
    match replication {
        Replication::Asynchronous { .. } => Some(AT_RISK),
        Replication::Hanging { .. } => Some(HANGS),
        Replication::None | Replication::Synchronous { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(replication: Replication) -> State {
        State { primary: Some("one:5432".to_owned()), replication, others: vec![], moves: 0 }
    }

    #[tokio::test]
    async fn what_is_wrong_with_replication_is_said_and_taken_back() {
        let (states, watched) = watch::channel(state(Replication::None));
        let readiness = Readiness::default();
        let telling = tokio::spawn(tell(watched, readiness.clone()));
        let table = [
            (Replication::Asynchronous { standbys: 1 }, Some("a failover may lose")),
            (Replication::Synchronous { standbys: 1 }, None),
            (Replication::Hanging { standbys: 0, missing: 1 }, Some("commits wait for a standby that is not there")),
            (Replication::Hanging { standbys: 1, missing: 1 }, Some("commits wait for a standby that is not there")),
            (Replication::None, None),
        ];
        for (replication, expected) in table {
            let now = state(replication);
            states.send_replace(now.clone());
            while readiness.told().get("database") != Some(&now.to_string()) {
                tokio::task::yield_now().await;
            }
            let said = readiness.degraded().get(REPLICATION).cloned();
            match expected {
                Some(expected) => assert!(said.as_deref().is_some_and(|said| said.contains(expected)), "{said:?}"),
                None => assert_eq!(said, None, "{replication}"),
            }
        }
        drop(states);
        telling.await.expect("it ends with the pool");
    }
}
