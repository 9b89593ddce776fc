use std::time::Duration;

use event_store::kafka::Relay;
use schema::log::Position;

use crate::support::{database, store};
use crate::topic::{append_some, assert_relayed, options, relay_options, run, until, until_written};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_relay_takes_over_from_one_that_was_killed() {
    let (database, kafka) = (database().await, options().await);
    let stores = [store(&database).await, store(&database).await];
    let mut relays = stores.each_ref().map(|store| Some(run(store, relay_options(&kafka))));
    let mut upto = Position::START;
    for round in 0..4 {
        upto = append_some(&stores[round % 2], 60).await;
        let mut leading = None;
        while leading.is_none() {
            let leads = |relay: &Option<crate::topic::Running>| {
                relay.as_ref().is_some_and(|relay| relay.state.borrow().doing.is_leading())
            };
            leading = relays.iter().position(leads);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let leader = leading.expect("found");
        assert!(!relays[1 - leader].as_ref().is_some_and(|other| other.state.borrow().doing.is_leading()));
        // In the midst of it, without giving anything back.
        let appending = append_some(&stores[0], 120);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            relays[leader] = None;
        };
        upto = upto.max(tokio::join!(appending, killing).0);
        let other = relays[1 - leader].as_mut().expect("it runs");
        other.until(|state| state.doing.is_leading()).await;
        other.until_relayed(upto).await;
        relays[leader] = Some(run(&stores[leader], relay_options(&kafka)));
    }
    assert_relayed(&stores[0], &kafka, upto).await;
}

/// Frozen for longer than its lease, with events in its hands; it wakes and goes on producing until it learns that another one
/// leads. What it writes then is dropped by the consumer's rule.
#[test]
fn a_frozen_leader_that_wakes_changes_nothing() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (database, kafka, url) = runtime.block_on(async {
        let database = database().await;
        let url = database.url().to_owned();
        (database, options().await, url)
    });
    let upto = runtime.block_on(async {
        let store = store(&database).await;
        let mut upto = Position::START;
        for _ in 0..20 {
            upto = append_some(&store, 200).await;
        }
        upto
    });
    let (frozen, is_frozen) = std::sync::mpsc::channel();
    let (wake, woken) = std::sync::mpsc::channel();
    let first_options = kafka.clone();
    // All of the first relay is on this thread: while it sleeps, nothing of it runs but what librdkafka has taken over.
    let first = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let pool = sqlx::PgPool::connect(&url).await.expect("the database");
            let store = event_store::EventStore::connect(pool, Default::default()).await.expect("a store");
            let mut options = relay_options(&first_options);
            options.window_events_max = 100;
            let relay = Relay::new(store, options);
            let mut state = relay.state();
            let running = tokio::spawn(relay.run(std::future::pending()));
            until(&mut state, |state| state.relayed > Position::START).await;
            let relayed = state.borrow().relayed;
            frozen.send(relayed).expect("the test waits");
            woken.recv().expect("the test wakes it");
            until(&mut state, |state| state.doing.is_standby()).await;
            running.abort();
        });
    });
    let at = is_frozen.recv().expect("it leads");
    assert!(at < upto, "it has all of {upto} done already");
    runtime.block_on(async {
        let store = store(&database).await;
        let mut second = run(&store, relay_options(&kafka));
        second.until(|state| state.doing.is_leading()).await;
        second.until_relayed(upto).await;
        wake.send(()).expect("it sleeps");
        let upto = append_some(&store, 50).await;
        tokio::task::spawn_blocking(move || first.join().expect("it ended well")).await.expect("joined");
        second.until_relayed(upto).await;
        let upto = append_some(&store, 5).await;
        second.until_relayed(upto).await;
        let dropped = assert_relayed(&store, &kafka, upto).await;
        assert!(dropped > 0, "the first one wrote something again after it woke");
    });
}

/// While the log is quiet nothing is acknowledged that would have it written again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_could_not_be_written_is_written_later() {
    let (database, kafka) = (database().await, options().await);
    let store = store(&database).await;
    let mut relay = run(&store, relay_options(&kafka));
    relay.until(|state| state.doing.is_leading()).await;
    sqlx::query("ALTER TABLE relay RENAME TO away").execute(database.pool()).await.expect("away");
    let upto = append_some(&store, 10).await;
    relay.until_relayed(upto).await;
    // It fails some times.
    tokio::time::sleep(Duration::from_millis(900)).await;
    sqlx::query("ALTER TABLE away RENAME TO relay").execute(database.pool()).await.expect("back");
    let written = until_written(database.pool(), upto);
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("it is written by itself");
    assert!(relay.state.borrow().doing.is_leading(), "it leads all the while");
}
