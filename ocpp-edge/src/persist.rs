//! Recording in the log, again and again while it can't be reached.

use std::time::Duration;

use application::Error;
use tokio::time::Instant;

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why a report was not recorded.
#[derive(Debug)]
pub enum Failure {
    /// A newer connection owns the charger's facts: this one ends and appends nothing.
    Fenced,
    /// The log could not be reached for as long as it was tried.
    Unavailable(Error),
    /// It can't be recorded as it is, now or later.
    Refused(Error),
    /// What it would change is recorded in a way that can't be read: not before somebody has mended that.
    Unreadable(Error),
}

/// An error with its causes, on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Tries until it is recorded, for at most `retry_for`. To try again is safe: reports are known by their content.
pub async fn persist<T, F, Fut>(retry_for: Duration, attempt: F) -> Result<T, Failure>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let started = Instant::now();
    let mut pause = PAUSE_FIRST;
    loop {
        match attempt().await {
            Ok(value) => {
                metrics::histogram!("coulomb_ocpp_edge_append_wait_seconds").record(started.elapsed().as_secs_f64());
                return Ok(value);
            }
            Err(Error::Fenced) => return Err(Failure::Fenced),
            Err(error @ (Error::Unavailable(_) | Error::Busy | Error::Behind)) => {
                metrics::counter!("coulomb_ocpp_edge_append_retries_total").increment(1);
                if started.elapsed() + pause >= retry_for {
                    return Err(Failure::Unavailable(error));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error @ (Error::Refused(_) | Error::RefusedBefore(_) | Error::IdempotencyConflict)) => {
                return Err(Failure::Refused(error));
            }
            Err(error @ Error::Unreadable(_)) => return Err(Failure::Unreadable(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_stays_is_not() {
        for (errors, tries, succeeds) in [
            (vec![], 1, true),
            (vec![Error::Busy, Error::Busy], 3, true),
            (vec![Error::Busy, Error::Fenced], 2, false),
            (vec![Error::IdempotencyConflict], 1, false),
            (vec![Error::Unreadable("as if an event could not be decoded".into())], 1, false),
        ] {
            let tried = AtomicU32::new(0);
            let errors = std::sync::Mutex::new(errors.into_iter());
            let done = persist(HOUR, || async {
                tried.fetch_add(1, Ordering::Relaxed);
                errors.lock().unwrap().next().map_or(Ok(()), Err)
            })
            .await;
            assert_eq!((tried.into_inner(), done.is_ok()), (tries, succeeds));
        }
    }

    #[tokio::test]
    async fn it_is_given_up_at_last() {
        let failed = persist::<(), _, _>(PAUSE_FIRST, || async { Err(Error::Busy) }).await;
        assert!(matches!(failed, Err(Failure::Unavailable(Error::Busy))));
    }
}
