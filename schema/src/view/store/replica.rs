//! A replica that answers instead of the primary, where it is as far as the question needs.
//!
//! Every answer says how far its database was, read in the same snapshot; so one that is not far enough is known, and is
//! asked for again at the primary.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pool::Pool;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::{Statement, reached};
use crate::view::progress::Reached;

/// A replica that does not answer by then is passed over: the primary answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A replica that is a little behind is waited for, so often and so long.
const TRIES: u32 = 3;
const TRY_AFTER: Duration = Duration::from_millis(10);
/// One that was too far behind, or did not answer, is left alone for so long.
const REST_BEHIND: Duration = Duration::from_millis(250);
const REST_GONE: Duration = Duration::from_secs(2);

/// Cheap to clone; clones know the same of it.
#[derive(Debug, Clone)]
pub struct Replica(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Pool,
    /// For how many positions it may be behind to be asked.
    staleness_positions: i64,
    rests_until: Mutex<Option<Instant>>,
    /// What was last said of it.
    answers: AtomicBool,
}

/// Why the primary answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    Behind,
    Gone,
    Resting,
}

impl Replica {
    pub fn new(pool: Pool, staleness_positions: i64) -> Self {
        let rests_until = Mutex::new(None);
        Self(Arc::new(Inner { pool, staleness_positions, rests_until, answers: AtomicBool::new(true) }))
    }

    /// For how many positions it may be behind what this process has, to be asked.
    pub fn staleness_positions(&self) -> i64 {
        self.0.staleness_positions
    }

    /// The rows of an answer that is no older than `floor`; none: ask the primary. How far it is behind is measured by what
    /// whoever asks has, which may be more than the answer needs.
    pub(super) async fn fetch_all<'s>(
        &self,
        make: &impl Fn() -> Statement<'s>,
        floor: Reached,
        known: Option<Reached>,
    ) -> Option<Vec<PgRow>> {
        let asked = self.ask(make, floor, known).await;
        let outcome = match &asked {
            Ok(rows) if is_of_standby(rows) => "replica",
            // Where reads are to go, there is none: to a server that was promoted, or the only one there is.
            Ok(_) => "primary, no replica",
            Err(Passed::Behind) => "primary, replica behind",
            Err(Passed::Gone) => "primary, replica gone",
            Err(Passed::Resting) => "primary, replica resting",
        };
        metrics::counter!("coulomb_reads_total", "answered_by" => outcome).increment(1);
        asked.ok()
    }

    async fn ask<'s>(
        &self,
        make: &impl Fn() -> Statement<'s>,
        floor: Reached,
        known: Option<Reached>,
    ) -> Result<Vec<PgRow>, Passed> {
        if self.rests().is_some_and(|until| Instant::now() < until) {
            return Err(Passed::Resting);
        }
        for attempt in 1..=TRIES {
            let asked = tokio::time::timeout(ANSWER_WITHIN, make().fetch_all(&self.0.pool)).await;
            let answer = match asked {
                Ok(Ok(rows)) => rows.first().map(reached).transpose().map(|at| at.map(|at| (rows, at))),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(sqlx::Error::PoolTimedOut),
            };
            if let (Ok(Some((_, at))), Some(known)) = (&answer, known) {
                let behind = known.position.0.saturating_sub(at.position.0).max(0);
                metrics::gauge!("coulomb_replica_behind_positions").set(behind as f64);
            }
            match answer {
                Ok(Some((rows, at))) if at.generation == floor.generation && at.position >= floor.position => {
                    self.says(true, "the replica answers");
                    return Ok(rows);
                }
                Ok(Some((_, at))) => {
                    let behind = floor.position.0 - at.position.0;
                    if attempt == TRIES || at.generation != floor.generation || behind > self.0.staleness_positions {
                        self.rest(REST_BEHIND);
                        self.says(false, "the replica is too far behind; the primary answers");
                        return Err(Passed::Behind);
                    }
                }
                Ok(None) => return Err(Passed::Gone),
                Err(error) => {
                    self.rest(REST_GONE);
                    self.says(false, &format!("the replica does not answer ({error}); the primary does"));
                    return Err(Passed::Gone);
                }
            }
            tokio::time::sleep(TRY_AFTER).await;
        }
        Err(Passed::Behind)
    }

    fn rests(&self) -> Option<Instant> {
        *self.0.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self, duration: Duration) {
        *self.0.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + duration);
    }

    /// Logs a change, once.
    fn says(&self, answers: bool, what: &str) {
        if self.0.answers.swap(answers, Ordering::Relaxed) == answers {
            return;
        }
        match answers {
            true => tracing::info!("{what}"),
            false => tracing::warn!("{what}"),
        }
    }
}

/// Whether a server gave this that follows another.
fn is_of_standby(rows: &[PgRow]) -> bool {
    rows.first().and_then(|row| row.try_get("of_standby").ok()).unwrap_or_default()
}
