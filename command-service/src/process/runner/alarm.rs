//! Waking when the earliest timer is due, and not before.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The clock is asked again after so long, in case it was set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Completes when `due_at` has come, or a little earlier where the clock was set; never without one.
pub(super) async fn alarm(due_at: Option<DateTime<Utc>>) {
    let Some(due_at) = due_at else { return std::future::pending().await };
    // What is past is due at once.
    let wait = (due_at - Utc::now()).to_std().unwrap_or_default();
    tokio::time::sleep(wait.min(SLEEP_MAX)).await;
}
