//! A process that ends while Kafka does not answer.

use std::future::Future;
use std::time::{Duration, Instant};

use embedded_kafka::testing;
use event_store::kafka::relay::look_before_appending;
use event_store::kafka::{KafkaOptions, Relay};
use event_store::{EventStore, StoreOptions};

use crate::support::{database, store};
use crate::topic::{append_some, options_at, relay_options, run, until_written};

/// What supervisors give a process, and more.
const SOON: Duration = Duration::from_millis(1_500);
/// Into what a process does as it starts.
const BEGUN: Duration = Duration::from_millis(700);

/// As long as a program of its own would take to end, from the moment at which it is told to: with the runtime, which waits for
/// its blocking threads. `work` gets what completes at that moment.
fn ends<F: Future<Output = ()>>(
    url: &str,
    kafka: &KafkaOptions,
    work: impl FnOnce(EventStore, tokio::time::Sleep) -> F + Send,
) -> Duration {
    let (url, kafka) = (url.to_owned(), kafka.clone());
    std::thread::scope(|scope| {
        let process = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let told = runtime.block_on(async {
                let pool = sqlx::PgPool::connect(&url).await.expect("the database");
                let options = StoreOptions { kafka: Some(kafka), ..StoreOptions::default() };
                let store = EventStore::connect(pool, options).await.expect("a store");
                let told = Instant::now() + BEGUN;
                work(store, tokio::time::sleep(BEGUN)).await;
                told
            });
            drop(runtime);
            told.elapsed()
        });
        process.join().expect("it ended well")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_without_an_answer_of_kafka_ends_when_it_is_told_to() {
    let database = database().await;
    let brokers = testing::own(|_| {}).await;
    let kafka = options_at(&brokers.brokers());
    let first = store(&database).await;
    let upto = append_some(&first, 5).await;
    // From now on the log is known to be in this Kafka.
    let mut relay = run(&first, relay_options(&kafka));
    relay.until_relayed(upto).await;
    until_written(database.pool(), upto).await;
    drop(relay);
    // The next one leads at once.
    first.lapse_all_leases().await.expect("lapsed");
    // It takes connections, and answers nothing.
    brokers.freeze(1).await.expect("frozen");
    let url = database.url().to_owned();
    let (looking, leading) = tokio::task::spawn_blocking(move || {
        let looking = ends(&url, &kafka, |store, end| async move {
            tokio::select! {
                () = look_before_appending(&store) => panic!("nobody answers it"),
                () = end => {}
            }
        });
        let relay = relay_options(&kafka);
        let leading = ends(&url, &kafka, |store, end| Relay::new(store, relay).run(end));
        (looking, leading)
    })
    .await
    .expect("measured");
    assert!(looking < SOON, "who asks before it appends: {looking:?}");
    assert!(leading < SOON, "a relay that looks what Kafka has: {leading:?}");
    brokers.thaw(1).await.expect("thawed");
    brokers.stop().await;
}
