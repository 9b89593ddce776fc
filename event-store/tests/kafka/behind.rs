//! How far the relay says that Kafka is behind.

use metrics_exporter_prometheus::PrometheusBuilder;

use event_store::kafka::KafkaOptions;

use crate::support::{database, store};
use crate::topic::{append_some, options, relay_options, run};

fn gauge(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What waits is what was never relayed, also as a relay tells it that has never led.
#[test]
fn a_relay_that_starts_without_kafka_knows_how_far_it_is() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let told = recorder.handle();
    // All of the relay is on this thread, and nobody else's.
    let _here = metrics::set_default_local_recorder(&recorder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (database, kafka) = (database().await, options().await);
        let store = store(&database).await;
        let mut relay = run(&store, relay_options(&kafka));
        let relayed = append_some(&store, 20).await;
        relay.until_relayed(relayed).await;
        let written = async {
            let text = "SELECT coalesce(max(position), 0) FROM relay";
            while sqlx::query_scalar::<_, i64>(text).fetch_one(database.pool()).await.expect("asked") < relayed.0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, written).await.expect("there is a checkpoint");
        drop(relay);

        let head = append_some(&store, 5).await;
        let away = KafkaOptions { brokers: "127.0.0.1:1".to_owned(), ..kafka };
        let mut relay = run(&store, relay_options(&away));
        let state = relay.until(|state| state.doing.is_kafka_down() && state.head >= head).await;
        assert_eq!((state.relayed, state.lag()), (relayed, head.0 - relayed.0));
        let text = told.render();
        assert_eq!(gauge(&text, "coulomb_relay_position "), Some(relayed.0 as f64), "{text}");
        assert_eq!(gauge(&text, "coulomb_relay_lag_positions "), Some((head.0 - relayed.0) as f64), "{text}");
        assert_eq!(gauge(&text, "coulomb_relay_kafka_down "), Some(1.0), "{text}");
    });
}
