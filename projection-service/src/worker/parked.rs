//! Which keys stand still in which builds.

use std::collections::HashSet;

use domain::Event;
use domain::read_model::ReadModelEvent;
use pool::Connection;
use read_models::may_touch;
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use schema::view::Model;
use sqlx::Row;
use uuid::Uuid;

use super::Error;
use super::builds::Build;

/// The parked keys of a worker's partitions, by build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parked(HashSet<(i64, Uuid)>);

impl Parked {
    pub fn contains(&self, build: &Build, key: Uuid) -> bool {
        !self.0.is_empty() && self.0.contains(&(build.id, key))
    }

    pub fn park(&mut self, build: &Build, key: Uuid) {
        self.0.insert((build.id, key));
    }

    pub fn release(&mut self, build: &Build, key: Uuid) {
        self.0.remove(&(build.id, key));
    }

    pub async fn load(
        connection: &mut Connection<'_>,
        builds: &[Build],
        partitions: &[Partition],
    ) -> Result<Self, Error> {
        let builds: Vec<i64> = builds.iter().map(|build| build.id).collect();
        let partitions: Vec<i16> = partitions.iter().map(|partition| i16::from(partition.number())).collect();
        let statement = sqlx::query(include_str!("sql/parked.sql")).bind(builds).bind(partitions).persistent(false);
        let rows = statement.fetch_all(connection).await.map_err(Error::Write)?;
        let key = |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(key).collect::<Result<_, _>>().map(Self).map_err(Error::Write)
    }
}

/// Whether an event waits with its key where that is parked: one that can't change the read model need not.
pub(crate) fn waits(event: &RecordedEvent, build: &Build) -> bool {
    may_touch(build.model, event.stream.aggregate, &event.event_type)
}

/// What an event of the log does to a parked key of its own partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub model: Model,
    pub partition_key: Uuid,
    /// The parked event that is to be left out.
    pub skip: Option<Position>,
}

impl Operation {
    /// None: it is no such event, or of a read model that this program does not know.
    pub fn of(event: &RecordedEvent) -> Option<Self> {
        let Event::ReadModel(happened) = event.event.as_deref().ok()? else { return None };
        let (model, partition_key, skip) = match happened {
            ReadModelEvent::ParkedKeyReleased { model, partition_key } => (model, *partition_key, None),
            ReadModelEvent::ParkedEventSkipped { model, partition_key, position } => {
                (model, *partition_key, Some(Position(*position)))
            }
            ReadModelEvent::ReadModelSwapped { .. }
            | ReadModelEvent::ReadModelRolledBack { .. }
            | ReadModelEvent::ReadModelSwapAbandoned { .. } => return None,
        };
        let model = Model::ALL.into_iter().find(|known| known.name() == model)?;
        // Of another partition it would be met out of order.
        (partition_key == event.partition_key).then_some(Self { model, partition_key, skip })
    }
}
