//! Doing what follows: each partition in order, the partitions beside each other.

use std::collections::BTreeMap;

use application::Error;
use application::settle::Cause;
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;

use super::batch::Issue;
use crate::process::backoff::Backoff;
use crate::process::manager::{Manager, Outcome};

/// How often a task is tried before it is put off. Then it waits as a timer, so that it stands in nobody's way: if it was
/// the database, the commit fails as well, and all of it is done again.
const ATTEMPTS_MAX: usize = 5;
const PUT_OFF: TimeDelta = TimeDelta::seconds(30);

/// The tasks with what came of each; those of one partition in their order.
pub(super) async fn perform_all<M: Manager>(
    manager: &M,
    issues: Vec<Issue<M::Task>>,
) -> Vec<(Issue<M::Task>, Outcome)> {
    let mut by_partition = BTreeMap::<_, Vec<_>>::new();
    for issue in issues {
        by_partition.entry(issue.partition).or_default().push(issue);
    }
    let in_order = async |issues: Vec<Issue<M::Task>>| {
        let mut done = Vec::with_capacity(issues.len());
        for issue in issues {
            let outcome = perform(manager, &issue).await;
            done.push((issue, outcome));
        }
        done
    };
    join_all(by_partition.into_values().map(in_order)).await.into_iter().flatten().collect()
}

async fn perform<M: Manager>(manager: &M, issue: &Issue<M::Task>) -> Outcome {
    let mut backoff = Backoff::new();
    for _ in 0..ATTEMPTS_MAX {
        let Issue { id, origin, task, position, .. } = issue;
        let cause = Cause {
            tenant_id: origin.tenant_id,
            manager: M::NAME,
            id: *id,
            correlation_id: origin.correlation_id,
            trace_id: origin.trace_id.clone(),
            now: Utc::now(),
        };
        match manager.perform(task, &cause).await {
            Ok(outcome) => return outcome,
            Err(error @ (Error::Busy | Error::Behind | Error::Unavailable(_))) => {
                metrics::counter!("coulomb_process_retries_total", "manager" => M::NAME).increment(1);
                let why = chain(&error);
                tracing::warn!(manager = M::NAME, ?task, %position, error = why, "a task is tried again");
                backoff.wait().await;
            }
            Err(error @ Error::Unreadable(_)) => {
                // Until somebody has mended that; the others go on.
                let why = chain(&error);
                tracing::error!(manager = M::NAME, ?task, %position, error = why, "a task is put off");
                return Outcome::Again(Utc::now() + PUT_OFF);
            }
            Err(error) => {
                // It was decided on the newest state: asking again would be answered the same.
                metrics::counter!("coulomb_process_refusals_total", "manager" => M::NAME).increment(1);
                tracing::info!(manager = M::NAME, ?task, %position, %error, "a task was refused");
                return Outcome::Settled;
            }
        }
    }
    Outcome::Again(Utc::now() + PUT_OFF)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
