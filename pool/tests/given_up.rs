//! Whoever is cancelled while a transaction begins leaves nothing behind for the next one on that connection.

use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use embedded_postgres::testing::database;
use pool::Pool;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

const LOOK_EVERY: Duration = Duration::from_millis(10);
const ASKED_WITHIN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Begins {
    Pool,
    Connection,
    Statement,
}

fn signal(name: &str, backend: i32) {
    let sent = Command::new("kill").args([name, &backend.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
}

fn stands_still(backend: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{backend}/stat")).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// Begins, and gives it up when the server has begun and nobody has noticed yet. While the future runs, its server stands still:
/// however fast it is, it answers between two of its steps.
async fn give_up<T>(begin: impl Future<Output = T>, backend: i32, others: &PgPool) {
    let mut begin = std::pin::pin!(begin);
    let text = "SELECT state = 'idle in transaction' FROM pg_stat_activity WHERE pid = $1";
    loop {
        signal("-STOP", backend);
        while !stands_still(backend) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // One that stands in the middle of saying so keeps whoever asks waiting.
        let begun = tokio::time::timeout(ASKED_WITHIN, sqlx::query_scalar(text).bind(backend).fetch_one(others)).await;
        if let Ok(false) = begun.as_ref().map(|begun| *begun.as_ref().unwrap()) {
            let is_over = std::future::poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_ready())).await;
            assert!(!is_over, "it was answered by a server that had not begun");
        }
        signal("-CONT", backend);
        if let Ok(Ok(true)) = begun {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
        let backend = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&direct).await.unwrap();
        let gives_up = async {
            match begins {
                Begins::Pool => give_up(direct.begin(), backend, others).await,
                Begins::Connection => {
                    let mut connection = direct.acquire().await.unwrap();
                    give_up(connection.begin(), backend, others).await;
                }
                Begins::Statement => give_up(sqlx::query("SELECT 1").execute(&carried), backend, others).await,
            }
        };
        let given_up = tokio::time::timeout(PATIENCE, gives_up).await;
        assert!(given_up.is_ok(), "{begins:?}: it never began");
        sqlx::query("INSERT INTO written VALUES (1)").execute(&direct).await.unwrap();
        let written: i64 = sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(others).await.unwrap();
        assert_eq!(written, nth as i64 + 1, "{begins:?}: nobody else sees what was written after");
    }
}
