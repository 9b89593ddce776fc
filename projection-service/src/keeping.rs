//! How far apart the boundaries are at which rows are kept as they were (migration 0430).

use std::time::Duration;

use pool::Pool;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Has rows kept every so many positions from now on. If that is another distance than before, all workers claim anew.
/// Tries until it is done.
pub(crate) async fn keep_every(pool: &Pool, positions: i64) {
    loop {
        let asked = sqlx::query_scalar("SELECT history.keep_every($1)").bind(positions).persistent(false);
        match asked.fetch_one(pool).await {
            Ok(changed) => {
                if changed {
                    tracing::info!(positions, "rows are kept as they were at another distance from now on");
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "it could not be said at which distance rows are kept as they were");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}
