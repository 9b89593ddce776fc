//! What is measured. All live read models are one group, which is advanced together.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

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

/// How many partitions this worker has.
pub(crate) fn partitions(count: usize) {
    gauge!("coulomb_projection_partitions", "group" => GROUP).set(count as f64);
}

/// Whether the worker stands still, and why: `unfit` for the builds there are, or anything else that will pass.
pub(crate) fn stopped(why: Option<&'static str>) {
    for reason in ["unfit", "error"] {
        gauge!("coulomb_projection_stopped", "group" => GROUP, "reason" => reason)
            .set(f64::from(u8::from(why == Some(reason))));
    }
}

/// Rows that a batch changed, and how many of them had to be read.
pub(crate) fn read(rows: usize) {
    counter!("coulomb_projection_rows_read_total", "group" => GROUP).increment(rows as u64);
}
