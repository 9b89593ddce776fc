//! How far the read models are behind the log: asked for beside the work, so that it is true of a worker that stands still.

use std::time::Duration;

use chrono::Utc;
use event_store::{EventStore, PartitionSet};

use crate::metrics;
use crate::views::Views;

const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn measure(store: EventStore, views: Views) {
    loop {
        tokio::time::sleep(EVERY).await;
        // What fails here fails where the work is done, and is told there.
        let Ok(reached) = views.tables().reached().await else { continue };
        let Ok((head, _)) = store.head().await else { continue };
        let positions = (head.0 - reached.position.0).max(0);
        let mut seconds = 0.0;
        if positions > 0
            && let Ok(stretch) = store.read(reached.position, 1, PartitionSet::ALL).await
            && let Some(oldest) = stretch.events.first()
        {
            seconds = (Utc::now() - oldest.recorded_at).as_seconds_f64().max(0.0);
        }
        metrics::lag(positions, seconds);
    }
}
