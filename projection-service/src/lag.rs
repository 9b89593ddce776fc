//! What is asked for beside the work, so that it is true of a worker that stands still: how far the read models are behind the
//! log, and what is parked.

use std::time::Duration;

use chrono::Utc;
use event_store::dead_letters::{self, Source};
use event_store::{EventStore, PartitionSet};
use pool::Pool;
use service_host::Readiness;

use crate::views::Views;
use crate::{metrics, parked};

const EVERY: Duration = Duration::from_secs(1);
/// Under this name `/ready` says that keys are parked.
const DEGRADED: &str = "parked";
/// Under this one, that records of Kafka can't be decoded.
const UNDECODABLE: &str = "dead-letters";

pub(crate) async fn measure(store: EventStore, pool: Pool, views: Views, readiness: Readiness) {
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
        if let Ok(counts) = parked::count(&pool).await {
            counts.iter().for_each(metrics::parked);
            let keys: i64 = counts.iter().map(|count| count.keys).sum();
            let why = format!("{keys} keys of read models stand still: see `coulomb projections parked`");
            readiness.degrade(DEGRADED, (keys > 0).then_some(why));
        }
        if let Ok(counts) = dead_letters::count(&pool).await {
            counts.iter().for_each(|(source, waiting)| metrics::dead_letters(*source, *waiting));
            let records = counts.iter().find(|(source, _)| *source == Source::Kafka).map_or(0, |(_, waiting)| *waiting);
            let why = format!(
                "{records} records of Kafka can't be decoded, and were read from the log: see `coulomb events dead-letters`"
            );
            readiness.degrade(UNDECODABLE, (records > 0).then_some(why));
        }
    }
}
