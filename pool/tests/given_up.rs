//! Whoever is cancelled while a transaction begins leaves nothing behind for the next one on that connection.

use std::task::Poll;
use std::time::Duration;

use embedded_postgres::testing::database;
use pool::Pool;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

/// After which the server has answered.
const ANSWERED: Duration = Duration::from_millis(10);
/// The server may be so fast that there is nothing to give up.
const ATTEMPTS_MAX: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Begins {
    Pool,
    Connection,
    Statement,
}

/// Whether it was given up when the server had begun and nobody had noticed yet.
async fn given_up<T>(begin: impl Future<Output = T>, others: &PgPool) -> bool {
    let mut begin = std::pin::pin!(begin);
    loop {
        if std::future::poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_ready())).await {
            return false;
        }
        tokio::time::sleep(ANSWERED).await;
        let text = "SELECT EXISTS (SELECT FROM pg_stat_activity \
                    WHERE datname = current_database() AND state = 'idle in transaction')";
        if sqlx::query_scalar(text).fetch_one(others).await.unwrap() {
            return true;
        }
    }
}

#[tokio::test]
async fn what_is_run_after_a_begin_that_was_given_up_is_committed() {
    let database = database(&Migrator::DEFAULT).await;
    let others = database.pool();
    sqlx::query("CREATE TABLE written (n bigint)").execute(others).await.unwrap();
    for (nth, begins) in [Begins::Pool, Begins::Connection, Begins::Statement].into_iter().enumerate() {
        // All run on one connection.
        let one = PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
        let direct = Pool::from(one);
        let carried = direct.clone().carried(Some(direct.clone()));
        let mut attempts = 0;
        loop {
            let given_up = match begins {
                Begins::Pool => given_up(direct.begin(), others).await,
                Begins::Connection => {
                    let mut connection = direct.acquire().await.unwrap();
                    given_up(connection.begin(), others).await
                }
                Begins::Statement => given_up(sqlx::query("SELECT 1").execute(&carried), others).await,
            };
            if given_up {
                break;
            }
            attempts += 1;
            assert!(attempts < ATTEMPTS_MAX, "{begins:?}: it always began at once");
        }
        sqlx::query("INSERT INTO written VALUES (1)").execute(&direct).await.unwrap();
        let written: i64 = sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(others).await.unwrap();
        assert_eq!(written, nth as i64 + 1, "{begins:?}: nobody else sees what was written after");
    }
}
