//! What a pooler in transaction mode can carry: everything that is run on a pool, a connection or a transaction of ours.

use embedded_postgres::testing::Replicated;
use pool::Pool;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

const TASKS: i64 = 16;
const ROUNDS: i64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn statements_connections_and_transactions_go_through_few_server_connections() {
    let pair = Replicated::start(false).await.expect("both start");
    let server = pair.primary.as_ref().expect("it was started");
    server.ask("CREATE TABLE sums (task bigint PRIMARY KEY, sum bigint NOT NULL)").await.expect("a table");
    let bouncer = pair.pgbouncer(server, 3).await.expect("PgBouncer starts");
    let options: PgConnectOptions = bouncer.url_of("postgres").parse().expect("a URL");
    let connect = PgPoolOptions::new().max_connections(16);
    let pool = connect.connect_with(options.extra_float_digits(None)).await.expect("it takes connections");
    let direct = PgPoolOptions::new().connect(&server.url_of("postgres")).await.expect("the server does too");
    let pool = Pool::from(pool).carried(Some(direct.into()));

    let mut listener = pool.listen("told").await.expect("the direct way can listen");
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(work(pool.clone(), task))).collect();
    for task in tasks {
        task.await.expect("no task panics").expect("no statement fails");
    }
    let sums: Vec<i64> = sqlx::query_scalar("SELECT sum FROM sums ORDER BY task").fetch_all(&pool).await.expect("read");
    let expected = (0..ROUNDS).sum::<i64>();
    assert_eq!(sums, vec![expected; TASKS as usize]);
    let told = listener.try_recv().await.expect("it listens").expect("it was told");
    assert_eq!(told.channel(), "told");
}

/// Each kind of use, with texts that differ from task to task, as they do between services.
async fn work(pool: Pool, task: i64) -> Result<(), sqlx::Error> {
    let insert = format!("INSERT INTO sums VALUES ($1, 0) /* {task} */");
    sqlx::query(&insert).bind(task).execute(&pool).await?;
    let mut own = pool.connect().await?;
    for round in 0..ROUNDS {
        let found: i64 =
            sqlx::query_scalar(&format!("SELECT $1::bigint + {task}")).bind(round).fetch_one(&pool).await?;
        assert_eq!(found, round + task);
        let mut transaction = pool.begin().await?;
        let before: i64 = sqlx::query_scalar("SELECT sum FROM sums WHERE task = $1 FOR UPDATE")
            .bind(task)
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query("UPDATE sums SET sum = $2 WHERE task = $1")
            .bind(task)
            .bind(before + round)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let mut abandoned = pool.begin().await?;
        sqlx::query("UPDATE sums SET sum = -1 WHERE task = $1").bind(task).execute(&mut *abandoned).await?;
        drop(abandoned);
        let there: Option<i64> =
            sqlx::query_scalar("SELECT sum FROM sums WHERE task = $1").bind(-task - 1).fetch_optional(&mut own).await?;
        assert_eq!(there, None);
        let mut connection = pool.acquire().await?;
        let rows = (&mut connection).fetch_all(sqlx::query("SELECT * FROM sums WHERE task = $1").bind(task)).await?;
        assert_eq!(rows.len(), 1);
    }
    sqlx::query("SELECT pg_notify('told', $1)").bind(task.to_string()).execute(&pool).await?;
    own.close().await
}
