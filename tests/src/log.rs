//! The log and the read models, looked at from outside of the program.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use domain::event::Event;
use domain::session::SessionEvent;
use event_store::{EventStore, PartitionSet, StoreOptions};
use read_models::fold_all;
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::{Model, Row};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Acquire, Row as _};
use uuid::Uuid;

use crate::{POLL, WAIT_MAX};

/// A look into the database of a platform.
pub struct Log {
    pool: PgPool,
    store: EventStore,
}

impl Log {
    pub async fn open(database_url: &str) -> Self {
        let options = PgConnectOptions::from_str(database_url).expect("it is a URL");
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("Postgres answers");
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.expect("it has a log");
        Self { pool, store }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Every event, in the order of positions.
    pub async fn events(&self) -> Vec<RecordedEvent> {
        let mut events: Vec<RecordedEvent> = vec![];
        let mut from = Position::START;
        loop {
            let stretch = self.store.read(from, i64::MAX, PartitionSet::ALL).await.expect("the log can be read");
            if stretch.upto == from {
                return events;
            }
            from = stretch.upto;
            events.extend(stretch.events);
        }
    }

    /// The events of one session.
    pub async fn session(&self, session_id: &str) -> Vec<SessionEvent> {
        let id = Uuid::parse_str(session_id).expect("it is an id");
        let events = self.events().await.into_iter().filter(|event| event.stream.id == id);
        let decoded = events.filter_map(|recorded| match decoded(&recorded) {
            Event::ChargingSession(event) => Some(event.clone()),
            _ => None,
        });
        decoded.collect()
    }

    pub async fn close(self) {
        self.pool.close().await;
    }

    /// Waits until the read models have all that the log has now, of every partition.
    ///
    /// # Panics
    /// When one stays behind.
    pub async fn views_reach_the_head(&self) {
        let head = self.events().await;
        let mut behind = vec![];
        let caught_up = async {
            loop {
                let reached: Vec<i64> = sqlx::query_scalar("SELECT partitions FROM views.reached()")
                    .fetch_one(&self.pool)
                    .await
                    .expect("the views say how far they are");
                behind = lagging(&reached, &head);
                if behind.is_empty() {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, caught_up).await.is_err() {
            panic!("read models stay behind the log, at {:?}: {behind:?}", head.last().map(|event| event.position));
        }
    }

    /// Compares every row of every read model with a fold of the log that was made here, from nothing, once they have all
    /// that was in it when this began. The program may go on writing meanwhile: rows and how far they are come from one
    /// snapshot.
    ///
    /// # Panics
    /// At the first difference, or when they stay behind.
    pub async fn views_equal_a_fresh_fold(&self) {
        self.views_reach_the_head().await;
        let mut connection = self.pool.acquire().await.expect("Postgres answers");
        let mut snapshot = connection.begin().await.expect("a transaction begins");
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .execute(&mut *snapshot)
            .await
            .expect("it is set");
        let reached: Vec<i64> = sqlx::query_scalar("SELECT partitions FROM views.reached()")
            .fetch_one(&mut *snapshot)
            .await
            .expect("the views say how far they are");
        let mut stored = BTreeMap::new();
        for model in Model::ALL {
            let select = format!("SELECT key, position, removed, row::text FROM views.{}", model.name());
            for row in sqlx::query(&select).fetch_all(&mut *snapshot).await.expect("a view can be read") {
                let (key, position): (String, i64) = (row.get(0), row.get(1));
                let (removed, text): (bool, Option<String>) = (row.get(2), row.get(3));
                stored.insert((model, key), (position, removed, text));
            }
        }
        drop(snapshot);
        drop(connection);

        let events = self.events().await;
        let seen = events.iter().filter(|event| event.position.0 <= reached[usize::from(event.partition.number())]);
        let folded = fold_all(seen).expect("the log can be folded");
        assert_eq!(
            stored.keys().collect::<Vec<_>>(),
            folded.keys().collect::<Vec<_>>(),
            "the same rows are there as a fold gives"
        );
        for ((model, key), row) in &folded {
            let (position, removed, text) = &stored[&(*model, key.clone())];
            assert_eq!((*position, *removed), (row.position.0, row.removed), "{model:?} {key}");
            if !removed {
                let stored = Row::from_json(*model, text.as_deref().unwrap_or_default()).expect("a row can be read");
                let folded = Row::from_json(*model, &row.row.to_json()).expect("a row can be read");
                assert_eq!(stored, folded, "{model:?} {key}");
            }
        }
    }
}

/// A partition whose read models are behind.
#[derive(Debug, PartialEq, Eq)]
struct Behind {
    partition: Partition,
    reached: i64,
    head: Position,
}

/// The partitions that have later events than their read models.
fn lagging(reached: &[i64], events: &[RecordedEvent]) -> Vec<Behind> {
    let mut heads = BTreeMap::new();
    for event in events {
        heads.insert(event.partition, event.position);
    }
    let behind = heads.into_iter().filter_map(|(partition, head)| {
        let reached = reached.get(usize::from(partition.number())).copied().unwrap_or_default();
        (reached < head.0).then_some(Behind { partition, reached, head })
    });
    behind.collect()
}

/// # Panics
/// When it can't be understood.
pub fn decoded(recorded: &RecordedEvent) -> &Event {
    recorded.event.as_ref().unwrap_or_else(|error| panic!("{}: {error}", recorded.position))
}

/// What must be true of every log: dense positions, dense streams, time that never goes back.
///
/// # Panics
/// When it is not.
pub fn is_dense_and_ordered(events: &[RecordedEvent]) {
    let mut versions: HashMap<_, i64> = HashMap::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, Position(position), "positions are dense");
        let version = versions.entry(event.stream).or_default();
        *version += 1;
        assert_eq!(event.sequence, *version, "the stream {} is dense", event.stream);
    }
    for pair in events.windows(2) {
        assert!(pair[0].recorded_at <= pair[1].recorded_at, "time goes back at {}", pair[1].position);
    }
}

#[cfg(test)]
mod tests {
    use schema::partition::PARTITION_COUNT;

    use super::*;
    use crate::checks::made_up::MadeUp;

    #[test]
    fn a_partition_that_stands_still_is_found() {
        let mut log = MadeUp::new();
        log.boots();
        let own = log.events[0].partition;
        let mut reached = [0; PARTITION_COUNT as usize];
        // Nothing is in the others.
        reached[usize::from(own.number())] = 2;
        assert_eq!(lagging(&reached, &log.events), []);
        reached[usize::from(own.number())] = 1;
        let behind = Behind { partition: own, reached: 1, head: Position(2) };
        assert_eq!(lagging(&reached, &log.events), [behind]);
        assert_eq!(lagging(&[], &log.events).len(), 1);
    }
}
