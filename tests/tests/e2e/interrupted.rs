//! SIGTERM while an export is under way: who asked for it has all of it, or knows that it has not.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::TenantId;
use embedded_postgres::testing::database;
use event_store::{Append, EventStore, Expected, StoreOptions, Write};
use schema::golden::GOLDEN;
use schema::log::{NewEvent, RawEvent, StreamId};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tests::{Network, Program, binary, eventually, logs, within};
use uuid::Uuid;

/// Events of one export.
const EVENTS: i64 = 40;
/// What requests under way have from the end of the listener on.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(10);

/// So many golden events, each in a stream of its own.
async fn append(store: &EventStore, events: i64) {
    let golden = GOLDEN.iter().filter_map(|golden| {
        let aggregate = AggregateType::parse(golden.aggregate)?;
        let is_newest = aggregate.event_types().contains(&(golden.event_type, golden.version));
        let raw = RawEvent {
            aggregate_type: golden.aggregate,
            event_type: golden.event_type,
            event_version: golden.version,
            payload: golden.payload,
        };
        is_newest.then_some((aggregate, raw))
    });
    let golden: Vec<_> = golden.collect();
    let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")));
    for (aggregate, raw) in golden.iter().cycle().take(usize::try_from(events).expect("few")) {
        let stream = StreamId::new(*aggregate, Uuid::new_v4());
        let event = schema::catalogue::decode(raw).expect("it can be read");
        let events = vec![NewEvent::new(event, Arc::clone(&envelope), stream.id)];
        let write = Write { stream, expected: Expected::New, events, fence: None };
        store.append(Append { writes: vec![write], ..Append::default() }).await.expect("it is appended");
    }
}

/// Nobody reads the table until this ends.
async fn locked(pool: &PgPool, table: &str) -> Transaction<'static, Postgres> {
    let mut lock = pool.begin().await.expect("it begins");
    sqlx::query(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).execute(&mut *lock).await.expect("locked");
    lock
}

/// Somebody waits for a lock.
async fn somebody_waits(pool: &PgPool) {
    eventually("somebody to wait for the lock", || async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.expect("it answers");
        (waiting > 0).then_some(())
    })
    .await;
}

fn export(url: &str, to: &Path) -> Command {
    let mut command = Command::new(binary::coulomb());
    command.args(["events", "export", "--json", "--format", "jsonl", "--to"]).arg(to).env("DATABASE_URL", url);
    command
}

fn terminate(pid: u32) {
    let killed = Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

/// A job at night whose machine is taken away: what is in the folder is whole, the job has failed and says how far it came,
/// and the next one goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_to_files_says_how_far_it_came_and_goes_on_there() {
    let database = database(&schema::MIGRATOR).await;
    let store = EventStore::connect(database.pool().clone(), StoreOptions::default()).await.expect("a log");
    append(&store, EVENTS).await;
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path().join("exports");
    let first = export(database.url(), &to).output().expect("it runs");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    append(&store, EVENTS).await;

    let lock = locked(database.pool(), "events").await;
    let mut job = export(database.url(), &to);
    let mut job = job.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    eventually("it to write", || async { to.join("_unfinished").exists().then_some(()) }).await;
    somebody_waits(database.pool()).await;
    terminate(job.id());
    let status = eventually("it to end", || {
        let ended = job.try_wait().expect("it is ours");
        async move { ended }
    })
    .await;
    let (mut out, mut why) = (String::new(), String::new());
    job.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
    job.stderr.take().expect("piped").read_to_string(&mut why).expect("text");
    assert_eq!((status.code(), &*out), (Some(1), ""), "it has failed, and no range is said to be there: {why}");
    assert!(why.contains(&format!("positions up to {EVENTS} are exported; run it again to go on")), "{why}");
    assert!(!to.join("_unfinished").exists(), "nothing half is left");
    let verified = |upto: i64| {
        let output = Command::new(binary::coulomb()).args(["events", "export", "--json", "--verify"]).arg(&to).output();
        let said: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
        assert_eq!((&said["wrong"], &said["events"]), (&json!([]), &json!(upto)), "{said}");
    };
    verified(EVENTS);

    lock.rollback().await.expect("unlocked");
    let again = export(database.url(), &to).output().expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let range: Value = serde_json::from_slice(&again.stdout).expect("one range");
    assert_eq!((&range["first_position"], &range["last_position"]), (&json!(EVENTS + 1), &json!(2 * EVENTS)));
    verified(2 * EVENTS);
}

/// A platform whose driver has asked for all that is held on them, and is to wait for it; then its end has begun.
async fn asked_and_ending(name: &str) -> (Asked, Program) {
    let database = database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("COULOMB_DRAIN_NOTICE_S", "0"), ("COULOMB_DRAIN_S", "0")];
    let (network, program) = Network::start_on(database.url(), logs(name), &settings).await;
    let account = network.customer(network.person(), None).await;
    let token = account.access_token().await.expect("a token");
    let lock = locked(database.pool(), "accounts").await;
    let asked = reqwest::Client::new().get(format!("{}/api/me/export", network.queries)).bearer_auth(token).send();
    let answer = tokio::spawn(async move {
        let answer = asked.await?.error_for_status()?;
        answer.json::<Value>().await
    });
    somebody_waits(database.pool()).await;
    program.terminate();
    eventually("nothing new to be taken", || async {
        reqwest::get(format!("{}/ready", network.queries)).await.is_err().then_some(())
    })
    .await;
    (Asked { answer, lock, email: account.email().to_owned(), _database: database }, program)
}

struct Asked {
    answer: tokio::task::JoinHandle<Result<Value, reqwest::Error>>,
    lock: Transaction<'static, Postgres>,
    email: String,
    _database: embedded_postgres::testing::TestDatabase,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_export_that_is_under_way_is_finished() {
    let (asked, program) = asked_and_ending("interrupted-finished").await;
    assert!(!asked.answer.is_finished());
    asked.lock.rollback().await.expect("unlocked");
    let export = within("the export", asked.answer).await.expect("no panic").expect("it is whole");
    assert_eq!(export["account"]["email"], asked.email.as_str(), "{export}");
    assert!(export["events"].as_array().is_some_and(|events| !events.is_empty()), "{export}");
    assert_eq!(program.ended().await, Some(0));
}

/// Past the time that requests under way have, there is no answer: never a part of one that looks whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_export_that_takes_longer_than_the_drain_is_no_answer() {
    let (asked, program) = asked_and_ending("interrupted-cut-off").await;
    let began = Instant::now();
    let error = within("the end of the connection", asked.answer).await.expect("no panic").expect_err("no answer");
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert!(began.elapsed() < DRAIN_WAIT_MAX + Duration::from_secs(5), "{:?}", began.elapsed());
    // It does not wait for the database to answer what nobody waits for any more.
    assert_eq!(within("the process to end", program.ended()).await, Some(0));
    asked.lock.rollback().await.expect("unlocked");
}
