//! What was read of a history that the log has lost since is not written.

use sqlx::{Error, PgPool};
use uuid::Uuid;

use crate::support::empty;

async fn advance(pool: &PgPool, run: Uuid, upto: i64) -> Result<(), Error> {
    const ADVANCE: &str = "SELECT views.advance($1, $2, '{}', '{}', '{}', '{}', '{}', false)";
    sqlx::query(ADVANCE).bind(run).bind(upto).execute(pool).await.map(|_| ())
}

async fn refused(pool: &PgPool, run: Uuid, upto: i64) {
    let error = advance(pool, run, upto).await.expect_err("the run has ended");
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    assert_eq!(code.as_deref(), Some("CV001"), "{error}");
}

/// A batch that waited for a connection while another server was promoted finds its run there.
#[tokio::test]
async fn a_batch_of_what_was_lost_is_not_written() {
    let database = empty().await;
    let (pool, run) = (database.pool(), Uuid::now_v7());
    let head = async |position: i64, generation: i64| {
        let set = sqlx::query("UPDATE log_head SET position = $1, generation = $2").bind(position).bind(generation);
        set.execute(pool).await.expect("it is set");
    };
    head(100, 1).await;
    let claim =
        sqlx::query("SELECT FROM views.claim($1, (SELECT array_agg(p::smallint) FROM generate_series(0, 63) p))");
    claim.bind(run).execute(pool).await.expect("they are claimed");
    advance(pool, run, 95).await.expect("it is its run");

    head(90, 1).await;
    refused(pool, run, 100).await;
    advance(pool, run, 90).await.expect("so far the log is the same");
    // The log goes on without what was lost.
    head(120, 2).await;
    refused(pool, run, 100).await;
}
