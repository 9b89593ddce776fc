//! Events that somebody had a read model go on without: what is built anew goes on without them too.

use std::collections::HashMap;

use domain::Event;
use domain::read_model::ReadModelEvent;
use event_store::EventStore;
use schema::log::Position;
use schema::view::Model;
use uuid::Uuid;

use super::job::Job;
use super::{Error, Rebuilder};
use crate::parked::{self, Operator};

/// By their positions, and the keys that they belong to.
#[derive(Debug, Clone, Default)]
pub(super) struct Skipped(HashMap<Position, Uuid>);

impl Skipped {
    pub async fn read(store: &EventStore, model: Model) -> Result<Self, Error> {
        let events = store.skips().await?;
        let skip = |event: &Event| match event {
            Event::ReadModel(ReadModelEvent::ParkedEventSkipped { model: of, partition_key, position })
                if of == model.name() =>
            {
                Some((Position(*position), *partition_key))
            }
            _ => None,
        };
        Ok(Self(events.iter().filter_map(|recorded| skip(recorded.event.as_deref().ok()?)).collect()))
    }

    pub fn contains(&self, position: Position) -> bool {
        self.0.contains_key(&position)
    }
}

/// Skips again what was skipped after the build had parked it, while no worker knew of the build: the workers do it now.
pub(super) async fn repeat(rebuilder: &Rebuilder, job: &Job) -> Result<(), Error> {
    let Skipped(skipped) = Skipped::read(&rebuilder.store, job.model).await?;
    let positions: Vec<i64> = skipped.keys().map(|position| position.0).collect();
    let waiting: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("skipped_waiting.sql"))
        .bind(job.build_id)
        .bind(positions)
        .persistent(false)
        .fetch_all(&rebuilder.pool)
        .await?;
    let reason = format!("it was skipped while build {} was made", job.number);
    let operator = Operator { name: "coulomb projections rebuild".to_owned(), reason: Some(reason) };
    for (key, position) in waiting {
        let skipped =
            parked::skip(&rebuilder.pool, &rebuilder.store, &operator, job.model, key, Position(position)).await;
        match skipped {
            // Somebody was faster.
            Ok(_) | Err(parked::Error::NotParked { .. } | parked::Error::NotWaiting { .. }) => {}
            Err(error) => return Err(Error::Skip(Box::new(error))),
        }
    }
    Ok(())
}
