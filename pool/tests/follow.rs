//! The pool follows the node that is the primary.

use std::time::Duration;

use embedded_postgres::EmbeddedPostgres;
use embedded_postgres::testing::Replicated;
use pool::{Followed, Hosts, Options, Pool, Replication, follow, follow_standby};

const SOON: Duration = Duration::from_secs(15);

fn options() -> Options {
    Options { connections_max: 8, acquire_wait_max: Duration::from_secs(2) }
}

fn hosts(servers: &[&EmbeddedPostgres]) -> Hosts {
    let (user, password) = ("coulomb", servers[0].password());
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    format!("postgres://{user}:{password}@{}/postgres?sslmode=disable", hosts.join(",")).parse().expect("a URL")
}

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_fails_and_the_standby_is_promoted() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    // The standby comes first in the list: the order decides nothing.
    let hosts = hosts(&[&second, &first]);
    let Followed { pool, mut state } = follow(hosts, options()).await.expect("there is a primary");
    sqlx::query("CREATE TABLE n (n bigint)").execute(&pool).await.expect("the primary takes writes");
    let asynchronous = |state: &pool::State| state.replication == Replication::Asynchronous { standbys: 1 };
    within("the standby is seen", state.wait_for(asynchronous)).await.expect("it looks");
    pair.primary = Some(first);
    pair.standby = Some(second);
    pair.caught_up().await.expect("it catches up");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let mut own = pool.connect().await.expect("a connection");
    let mut listener = pool.listen("told").await.expect("it listens");

    // Frozen, so that a statement under way never gets an answer by itself. Whoever only looks for a connection gets one of the
    // server that is promoted.
    let mut acquired = pool.acquire().await.expect("a connection");
    first.freeze();
    let hanging = tokio::spawn(async move { sqlx::query("INSERT INTO n VALUES (1)").execute(&mut acquired).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    second.promote().await.expect("it is promoted");
    let hung = within("what is under way ends", hanging).await.expect("no panic");
    assert!(hung.is_err(), "its server did not answer");
    within("the state says so", state.wait_for(|state| state.moves == 1)).await.expect("it looks");
    let written = sqlx::query("INSERT INTO n VALUES (2)").execute(&pool).await;
    assert_eq!(written.expect("the promoted one takes writes").rows_affected(), 1);
    assert!(own.is_left_behind());
    assert!(within("it notices", own.ping()).await.is_err());
    assert!(within("it notices", listener.try_recv()).await.is_err());

    // The one that was left behind comes back and takes writes: nobody goes there.
    first.thaw();
    let said = |state: &pool::State| state.others.iter().any(|other| other.contains("left behind"));
    within("it is seen", state.wait_for(said)).await.expect("it looks");
    let moves = state.borrow().moves;
    assert_eq!(moves, 1);
    first.kill().await;
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM n").fetch_one(&pool).await.expect("it answers");
    assert_eq!(there, 1);
}

/// What is not a statement ends as well: a transaction that begins, and COPY in both directions at each of its steps.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_frozen_primary_ends_when_another_is_promoted() {
    use futures_util::TryStreamExt;

    const INTO: &str = "COPY n FROM STDIN";
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let Followed { pool, mut state } = follow(hosts(&[&first, &second]), options()).await.expect("there is a primary");
    sqlx::query("CREATE TABLE n (n bigint)").execute(&pool).await.expect("the primary takes writes");
    pair.primary = Some(first);
    pair.standby = Some(second);
    pair.caught_up().await.expect("it catches up");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let mut own = vec![];
    for _ in 0..7 {
        own.push(pool.connect().await.expect("a connection"));
    }
    let mut pooled = pool.acquire().await.expect("a connection");
    let mut own = own.iter_mut();
    let mut next = || own.next().expect("enough of them");
    let (begins, copies_in, copies_out, prepares) = (next(), next(), next(), next());
    let mut nests = next().begin().await.expect("it begins");
    let mut sends = next().copy_in_raw(INTO).await.expect("it copies");
    let finishes = next().copy_in_raw(INTO).await.expect("it copies");
    first.freeze();
    let hanging = async {
        use sqlx::Executor;

        // More than the server's and the network's buffers hold.
        let rows = vec![b'\n'; 64 * 1024 * 1024];
        tokio::join!(
            async { ("BEGIN on a connection of one's own", begins.begin().await.is_err()) },
            async { ("BEGIN on one of the pool", pooled.begin().await.is_err()) },
            async { ("SAVEPOINT", nests.begin().await.is_err()) },
            async { ("COPY in", copies_in.copy_in_raw(INTO).await.is_err()) },
            async { ("COPY's rows", sends.send(rows).await.is_err()) },
            async { ("COPY's end", finishes.finish().await.is_err()) },
            async {
                let rows = copies_out.copy_out_raw("COPY n TO STDOUT").await;
                let failed = match rows {
                    Ok(rows) => rows.try_collect::<Vec<_>>().await.is_err(),
                    Err(_) => true,
                };
                ("COPY out", failed)
            },
            async { ("a statement that is prepared", prepares.prepare("SELECT 1").await.is_err()) },
        )
    };
    let promoting = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        second.promote().await.expect("it is promoted");
    };
    let (ended, ()) = tokio::join!(within("all of it ends", hanging), promoting);
    let (a, b, c, d, e, f, g, h) = ended;
    for (what, failed) in [a, b, c, d, e, f, g, h] {
        assert!(failed, "{what}: its server did not answer");
    }
    within("the state says so", state.wait_for(|state| state.moves == 1)).await.expect("it looks");
    sqlx::query("INSERT INTO n VALUES (2)").execute(&pool).await.expect("the promoted one takes writes");
    first.thaw();
    first.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_primary_nothing_hangs_and_it_heals_by_itself() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let Followed { pool, mut state } = follow(hosts(&[&first, &second]), options()).await.expect("there is one");
    first.kill().await;
    within("it is seen", state.wait_for(|state| state.primary.is_none())).await.expect("it looks");
    let refused = within("an answer", sqlx::query("SELECT 1").execute(&pool)).await;
    assert!(refused.is_err(), "a standby is not taken for a primary");
    let first = EmbeddedPostgres::start_again(pair.options("first")).await.expect("it starts again");
    let back = first.port();
    within("it is seen", state.wait_for(|state| state.primary.is_some())).await.expect("it looks");
    within("it heals", async {
        while sqlx::query("SELECT 1").execute(&pool).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(pool.connect_options().get_port(), back);
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_to_a_standby_whichever_server_that_is() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let (one, two) = (first.port(), second.port());
    let pool = follow_standby(hosts(&[&first, &second]), &options());
    reads_from(&pool, "standby", two).await;
    // None is left: the one that was a standby answers as the primary that it is now.
    first.kill().await;
    second.promote().await.expect("it is promoted");
    reads_from(&pool, "primary", two).await;
    let options = embedded_postgres::Options { port: Some(one), ..pair.options("third") };
    let third = EmbeddedPostgres::start_standby(options, &second).await.expect("it follows the promoted one");
    reads_from(&pool, "standby", one).await;
    // Frozen, so that nothing says that it is gone.
    third.freeze();
    reads_from(&pool, "primary", two).await;
    third.thaw();
    reads_from(&pool, "standby", one).await;
    second.kill().await;
    reads_from(&pool, "standby", one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_leave_a_standby_that_stays_behind_another() {
    let mut pair = Replicated::start(false).await.expect("both start");
    let (primary, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let third = EmbeddedPostgres::start_standby(pair.options("third"), &primary).await.expect("it starts");
    let pool = follow_standby(hosts(&[&second, &third, &primary]), &options());
    reads_from(&pool, "standby", second.port()).await;
    // It answers as before, and what it has is old from now on.
    second.ask("SELECT pg_wal_replay_pause()::text").await.expect("it pauses");
    primary.ask("CREATE TABLE n (n bigint)").await.expect("it takes writes");
    reads_from(&pool, "standby", third.port()).await;
    // What is under way meanwhile, and that nobody goes back without need, is tested where a slow machine changes nothing: here a
    // look that took too long would be a reason to leave, and to end all at once.
    drop((second, third, primary));
}

/// Commits hang where the server waits for a standby that is not there, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_a_standby_that_is_gone_are_told_of() {
    let mut pair = Replicated::start(true).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let Followed { pool, mut state } = follow(hosts(&[&first, &second]), options()).await.expect("there is a primary");
    let mut becomes = async |wanted: Replication| {
        let becomes = state.wait_for(|state| state.replication == wanted);
        within(&format!("it becomes {wanted}"), becomes).await.expect("it looks").clone()
    };
    becomes(Replication::Synchronous { standbys: 1 }).await;
    sqlx::query("CREATE TABLE n (n bigint)").execute(&pool).await.expect("the standby has it");
    // There is one of two.
    first.set("synchronous_standby_names", "ANY 2 (*)").await.expect("it is set");
    becomes(Replication::Hanging { standbys: 1, missing: 1 }).await;
    first.set("synchronous_standby_names", "ANY 1 (*)").await.expect("it is set");
    becomes(Replication::Synchronous { standbys: 1 }).await;
    // It is there, and not the one that is waited for.
    first.set("synchronous_standby_names", "another").await.expect("it is set");
    becomes(Replication::Hanging { standbys: 1, missing: 1 }).await;
    first.set("synchronous_standby_names", "*").await.expect("it is set");
    becomes(Replication::Synchronous { standbys: 1 }).await;

    second.kill().await;
    let said = becomes(Replication::Hanging { standbys: 0, missing: 1 }).await.to_string();
    assert!(said.contains("commits wait for 1 more"), "{said}");
    let hanging = tokio::spawn({
        let pool = pool.clone();
        async move { sqlx::query("INSERT INTO n VALUES (1)").execute(&pool).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!hanging.is_finished(), "it waits for a standby");
    first.set("synchronous_standby_names", "").await.expect("it is set");
    within("the commit goes on", hanging).await.expect("no panic").expect("it is committed");
    becomes(Replication::None).await;
}

/// Waits until that server answers.
async fn reads_from(pool: &Pool, what: &str, port: u16) {
    let ask = "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END || current_setting('port')";
    let wanted = format!("{what}{port}");
    within(&format!("reads go to the {what} at {port}"), async {
        loop {
            let answer: Result<String, _> = sqlx::query_scalar(ask).fetch_one(pool).await;
            match answer {
                Ok(answer) if answer == wanted => return,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
}
