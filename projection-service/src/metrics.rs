//! What is measured. All live read models are one group, which is advanced together.

use std::time::Duration;

use event_store::dead_letters::Source;
use metrics::{counter, gauge, histogram};

use crate::parked::Count;

const GROUP: &str = "live";

/// How far the read models are behind the log, over all workers.
pub(crate) fn lag(positions: i64, seconds: f64) {
    gauge!("coulomb_projection_lag_positions", "group" => GROUP).set(positions as f64);
    gauge!("coulomb_projection_lag_seconds", "group" => GROUP).set(seconds);
}

/// A batch was committed.
pub(crate) fn batch(events: usize, rows: usize, took: Duration) {
    counter!("coulomb_projection_events_total", "group" => GROUP).increment(events as u64);
    counter!("coulomb_projection_rows_total", "group" => GROUP).increment(rows as u64);
    histogram!("coulomb_projection_batch_size", "group" => GROUP).record(events as f64);
    histogram!("coulomb_projection_apply_seconds", "group" => GROUP).record(took.as_secs_f64());
}

/// How many partitions a worker of this process has.
pub(crate) fn partitions(worker: usize, count: usize) {
    gauge!("coulomb_projection_partitions", "group" => GROUP, "worker" => worker.to_string()).set(count as f64);
}

/// What stands still in a read model.
pub(crate) fn parked(count: &Count) {
    let Count { model, keys, events, oldest_s } = count;
    gauge!("coulomb_projection_parked_keys", "model" => model.clone()).set(*keys as f64);
    gauge!("coulomb_projection_parked_events", "model" => model.clone()).set(*events as f64);
    gauge!("coulomb_projection_parked_oldest_seconds", "model" => model.clone()).set(*oldest_s);
}

/// What waits in the table of dead letters.
pub(crate) fn dead_letters(source: Source, waiting: i64) {
    gauge!("coulomb_dead_letters", "source" => source.as_str()).set(waiting as f64);
}

/// Whether the worker stands still, and why: `unfit` for the builds there are, or anything else that will pass.
pub(crate) fn stopped(worker: usize, why: Option<&'static str>) {
    for reason in ["unfit", "error"] {
        gauge!("coulomb_projection_stopped", "group" => GROUP, "worker" => worker.to_string(), "reason" => reason)
            .set(f64::from(u8::from(why == Some(reason))));
    }
}

/// Rows that a batch changed, and how many of them had to be read.
pub(crate) fn read(rows: usize) {
    counter!("coulomb_projection_rows_read_total", "group" => GROUP).increment(rows as u64);
}
