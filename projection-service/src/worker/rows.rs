//! The rows that batches change: kept in memory, read where they are not.

use std::collections::HashMap;
use std::sync::Arc;

use pool::Pool;
use quick_cache::unsync::Cache;
use schema::log::{Generation, Position};
use schema::partition::Partition;
use schema::view::{Model, Row, RowChange, ViewStore};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::Error;
use super::batch::Slot;
use super::builds::{Build, Place};
use crate::metrics;

/// True for as long as its tenure lasts, since nobody else writes rows of its partitions; thrown away with it.
pub(crate) struct Rows {
    store: ViewStore,
    pool: Pool,
    kept: Cache<Slot, Arc<RowChange>>,
}

impl Rows {
    pub fn new(store: ViewStore, pool: Pool, rows_max: usize) -> Self {
        Self { store, pool, kept: Cache::new(rows_max) }
    }

    pub fn get(&self, slot: &Slot) -> Option<&Arc<RowChange>> {
        self.kept.get(slot)
    }

    /// Reads what is wanted and not kept: of all live builds in one statement, of each other one in one. What is not there
    /// is in nobody's answer.
    pub async fn read(&self, builds: &[Build], wanted: &[Slot]) -> Result<HashMap<Slot, Arc<RowChange>>, Error> {
        let missing: Vec<&Slot> = wanted.iter().filter(|slot| self.kept.peek(*slot).is_none()).collect();
        let mut read = HashMap::new();
        if missing.is_empty() {
            return Ok(read);
        }
        metrics::read(missing.len());
        let is = |place: Place| move |slot: &&&Slot| builds[slot.0].place == place;
        let live: Vec<(Model, &str)> =
            missing.iter().filter(is(Place::Live)).map(|(nth, key)| (builds[*nth].model, key.as_str())).collect();
        if !live.is_empty() {
            for row in self.store.get_all(&live).await?.rows {
                let of = |build: &Build| build.place == Place::Live && build.model == row.row.model();
                if let Some(nth) = builds.iter().position(of) {
                    read.insert((nth, row.key.clone()), row);
                }
            }
        }
        for (nth, build) in builds.iter().enumerate().filter(|(_, build)| build.place == Place::Shadow) {
            let keys: Vec<&str> = missing.iter().filter(|slot| slot.0 == nth).map(|slot| slot.1.as_str()).collect();
            if !keys.is_empty() {
                for row in self.read_shadow(build.model, &keys).await? {
                    read.insert((nth, row.key.clone()), Arc::new(row));
                }
            }
        }
        Ok(read)
    }

    async fn read_shadow(&self, model: Model, keys: &[&str]) -> Result<Vec<RowChange>, Error> {
        let text = format!(
            "SELECT key, partition, generation, position, removed, row::text FROM shadow.{} WHERE key = ANY ($1)",
            model.name()
        );
        let rows = sqlx::query(&text).bind(keys).persistent(false).fetch_all(&self.pool).await;
        let rows = rows.map_err(Error::Write)?;
        Ok(rows.iter().map(|row| stored(model, row)).collect::<Result<_, _>>()?)
    }

    pub fn keep(&mut self, nth: usize, change: &Arc<RowChange>) {
        match change.row.model() {
            // Each is written once and never looked at again.
            Model::MeterValues => {}
            _ => self.kept.insert((nth, change.key.clone()), Arc::clone(change)),
        }
    }
}

fn stored(model: Model, row: &PgRow) -> Result<RowChange, schema::view::Error> {
    let key: String = row.try_get(0)?;
    let number: i16 = row.try_get(1)?;
    let partition = u8::try_from(number).ok().and_then(Partition::new);
    let content = Row::from_json(model, row.try_get(5)?);
    Ok(RowChange {
        partition: partition.ok_or_else(|| sqlx::Error::Decode(format!("there is no partition {number}").into()))?,
        generation: Generation(row.try_get(2)?),
        position: Position(row.try_get(3)?),
        removed: row.try_get(4)?,
        row: content.map_err(|source| schema::view::Error::Corrupt { model, key: key.clone(), source })?,
        key,
    })
}
