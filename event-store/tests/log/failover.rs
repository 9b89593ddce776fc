//! The primary is lost under load, and its synchronous standby takes its place: the same store goes on, and what it has
//! acknowledged is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_postgres::testing::Replicated;
use event_store::{Appended, EventStore, StoreOptions};
use pool::{Followed, Hosts, Options, Replication, follow};
use schema::log::{Generation, Position};
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::{PATIENCE, append, assert_sound_at, stream, write};

const WRITERS: usize = 8;
const ACKNOWLEDGED_BEFORE: usize = 2_000;
const ACKNOWLEDGED_AFTER: usize = 500;

type Acknowledged = Arc<Mutex<BTreeMap<Uuid, (Position, Generation)>>>;

/// Appends one after another, and writes down what was acknowledged; what was not is let go of.
async fn keep_appending(store: EventStore, acknowledged: Acknowledged, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let one = append(vec![write(stream(), 0, 1)]);
        let event_id = one.writes[0].events[0].event_id;
        match store.append(one).await {
            Ok(Appended::Committed { position, generation, .. }) => {
                acknowledged.lock().expect("no panic").insert(event_id, (position, generation));
            }
            Ok(Appended::Replayed { .. }) => panic!("nothing has a key"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(3 * PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_the_primary_when_replication_is_synchronous() {
    let mut pair = Replicated::start(true).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let hosts: Hosts = format!(
        "postgres://coulomb:{}@127.0.0.1:{},127.0.0.1:{}/coulomb?sslmode=disable",
        first.password(),
        first.port(),
        second.port()
    )
    .parse()
    .expect("a URL");
    let options = Options { connections_max: 10, acquire_wait_max: Duration::from_secs(2) };
    let Followed { pool, mut state } = follow(hosts, options).await.expect("there is a primary");
    schema::MIGRATOR.run(&pool.of_now()).await.expect("migrated");
    let waits = |state: &pool::State| state.replication == Replication::Synchronous { standbys: 1 };
    tokio::time::timeout(PATIENCE, state.wait_for(waits)).await.expect("it replicates").expect("it looks");
    let options = StoreOptions { retry_for: Duration::from_secs(1), ..StoreOptions::default() };
    let store = EventStore::connect(pool.clone(), options).await.expect("a store");

    let acknowledged = Acknowledged::default();
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(keep_appending(store.clone(), Arc::clone(&acknowledged), stopped.clone())))
        .collect();
    let count = || acknowledged.lock().expect("no panic").len();
    until("appends", || count() >= ACKNOWLEDGED_BEFORE).await;
    first.kill().await;
    let before = count();
    second.promote().await.expect("it is promoted");
    until("appends on the other server", || count() >= before + ACKNOWLEDGED_AFTER).await;
    stop.send_replace(true);
    for writer in writers {
        writer.await.expect("no writer panics");
    }

    let direct = PgPoolOptions::new().connect(&second.url()).await.expect("the promoted one answers");
    let rows = sqlx::query("SELECT event_id, position, generation FROM events").fetch_all(&direct).await.expect("rows");
    let stored: BTreeMap<Uuid, (Position, Generation)> =
        rows.iter().map(|row| (row.get(0), (Position(row.get(1)), Generation(row.get(2))))).collect();
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    let lost = acknowledged.iter().filter(|(event_id, at)| stored.get(event_id) != Some(at)).count();
    assert_eq!(lost, 0, "of {} that were acknowledged", acknowledged.len());
    let generations: std::collections::BTreeSet<i64> = acknowledged.values().map(|(_, of)| of.0).collect();
    assert_eq!(generations.len(), 2, "what came after is of another generation: {generations:?}");
    assert_sound_at(&direct).await;
}
