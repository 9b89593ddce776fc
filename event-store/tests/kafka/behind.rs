//! How far the relay says that Kafka is behind.

use event_store::kafka::KafkaOptions;

use crate::support::{database, store};
use crate::topic::{append_some, measured, metric, options, relay_options, run, until_written};

/// What waits is what was never relayed, also as a relay tells it that has never led.
#[test]
fn a_relay_that_starts_without_kafka_knows_how_far_it_is() {
    measured(async |told| {
        let (database, kafka) = (database().await, options().await);
        let store = store(&database).await;
        let mut relay = run(&store, relay_options(&kafka));
        let relayed = append_some(&store, 20).await;
        relay.until_relayed(relayed).await;
        until_written(database.pool(), relayed).await;
        drop(relay);

        let head = append_some(&store, 5).await;
        let away = KafkaOptions { brokers: "127.0.0.1:1".to_owned(), ..kafka };
        let mut relay = run(&store, relay_options(&away));
        let state = relay.until(|state| state.doing.is_kafka_down() && state.head >= head).await;
        assert_eq!((state.relayed, state.lag()), (relayed, head.0 - relayed.0));
        let text = told.render();
        assert_eq!(metric(&text, "coulomb_relay_position"), Some(relayed.0 as f64), "{text}");
        assert_eq!(metric(&text, "coulomb_relay_lag_positions"), Some((head.0 - relayed.0) as f64), "{text}");
        assert_eq!(metric(&text, "coulomb_relay_kafka_down"), Some(1.0), "{text}");
    });
}
