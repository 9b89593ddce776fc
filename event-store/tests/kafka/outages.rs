use std::time::Duration;

use embedded_kafka::testing;

use crate::support::{database, store};
use crate::topic::{append_some, assert_relayed, options_at, relay_options, run};

/// Postgres is the truth: what was appended while Kafka was away is there when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_on_without_kafka_which_gets_all_of_it_later() {
    let database = database().await;
    let store = store(&database).await;
    let brokers = testing::own(|_| {}).await;
    let kafka = options_at(&brokers.brokers());
    let mut options = relay_options(&kafka);
    options.kafka_patience = Duration::from_secs(4);
    let mut relay = run(&store, options);
    let upto = append_some(&store, 50).await;
    relay.until_relayed(upto).await;

    // Once for so short that the producer bridges it, once until the leader has given up.
    for away in [Duration::from_secs(1), Duration::from_secs(9)] {
        let before = relay.state.borrow().relayed;
        brokers.kill(1).await.expect("killed");
        let mut upto = append_some(&store, 100).await;
        tokio::time::sleep(away).await;
        upto = upto.max(append_some(&store, 20).await);
        if away > Duration::from_secs(4) {
            let state = relay.until(|state| state.doing.is_kafka_down() && state.head >= upto).await;
            assert!(state.lag() >= upto.0 - before.0 && state.relayed == before, "{state:?}");
        }
        brokers.restart(1).await.expect("back");
        relay.until_relayed(upto).await;
        let state = relay.until(|state| state.doing.is_leading()).await;
        assert_eq!(state.lag(), 0);
        assert_relayed(&store, &kafka, upto).await;
    }
    brokers.stop().await;
}
