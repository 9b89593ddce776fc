//! The metrics of the process, in Prometheus' text format. Services record with the macros of the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often recorded histogram samples are moved into their buckets, so that they don't pile up between scrapes.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Buckets of every metric whose name ends in `_seconds`: from what a local append takes to a client's patience.
const SECONDS: [f64; 16] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of every metric whose name ends in `_size`: batches, rows and fan-outs.
const SIZES: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder of this process, installed at the first call: several services in one process share it.
///
/// If a program has installed a recorder of another kind, the text stays empty and the log says so.
pub fn handle() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES))
            .expect("the lists of buckets are not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if let Err(error) = metrics::set_global_recorder(recorder) {
            tracing::warn!(%error, "metrics go to another recorder, /metrics stays empty");
        }
        handle
    })
}

/// The current values, as `/metrics` answers them.
pub fn render() -> String {
    handle().render()
}
