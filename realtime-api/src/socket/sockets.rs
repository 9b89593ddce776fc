//! The sockets of the process: how many there are, and their end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use service_host::{drain_step, tell_evenly};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::hub::{HubHandle, Signal};

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Sockets {
    open: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

/// A place among the sockets that may be open at a time. Given back when dropped.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("coulomb_realtime_connections").decrement(1);
    }
}

impl Sockets {
    /// None if there are as many as may be.
    pub fn enter(&self, max: usize) -> Option<Place> {
        let taken = self.open.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("coulomb_realtime_connections").increment(1);
        let place = Place(self.open.clone());
        (taken < max).then_some(place)
    }

    pub fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Something that the drain is to wait for, until this is dropped.
    pub fn under_way(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Calls every socket whenever somebody was erased. For ever.
    pub async fn follow_erasures(hub: HubHandle, mut erasures: watch::Receiver<u64>) {
        while erasures.changed().await.is_ok() {
            for mailbox in hub.shards().iter().flat_map(|shard| shard.sockets()) {
                mailbox.call(Signal::ERASURE);
            }
        }
    }

    /// Closes every socket, spread over a time, and waits for them and for what is under way.
    pub async fn drain(&self, hub: &HubHandle, over: Duration) {
        let sockets: Vec<_> = hub.shards().iter().flat_map(|shard| shard.sockets()).collect();
        tracing::info!(sockets = sockets.len(), over_s = over.as_secs(), "closing sockets");
        let step = drain_step(sockets.len(), over);
        tell_evenly(sockets, step, |mailbox| mailbox.call(Signal::DRAIN)).await;
        // Those that were opening when it began.
        for mailbox in hub.shards().iter().flat_map(|shard| shard.sockets()) {
            mailbox.call(Signal::DRAIN);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}
