//! How much memory this process has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks now and then, until it is dropped.
pub struct Memory {
    peak_kib: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Memory {
    pub fn watch() -> Self {
        let peak_kib = Arc::new(AtomicU64::new(0));
        let peak = Arc::clone(&peak_kib);
        let looking = tokio::spawn(async move {
            loop {
                peak.fetch_max(resident_kib(), Ordering::Relaxed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { peak_kib, looking }
    }

    /// The most that was resident so far.
    pub fn peak_mib(&self) -> u64 {
        self.peak_kib.load(Ordering::Relaxed) / 1024
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
