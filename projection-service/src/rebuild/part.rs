//! Some partitions of a build: their events folded in memory, their rows written now and then.

use std::collections::HashMap;
use std::sync::Arc;

use event_store::bulk::BulkRow;
use read_models::{Fact, ModelFold, Touch};
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::{PARTITION_COUNT, Partition};
use schema::view::Row;
use sqlx::postgres::PgConnection;

use super::error::{Error, chain};
use super::table::{Table, ToWrite};

/// Rows that may wait to be written.
const DIRTY_MAX: usize = 8_000;
/// Rows that are kept after they were written, for the events that come.
const KEPT_MAX: usize = 8_000;

/// A row as the events so far leave it.
struct Kept {
    partition: Partition,
    generation: Generation,
    position: Position,
    row: Row,
    /// Whether the table has it, in this state or another.
    stored: bool,
    dirty: bool,
    /// Of the checkpoint before which it was last asked for.
    wanted: u64,
}

pub(super) struct Part {
    fold: Arc<dyn ModelFold>,
    table: Table,
    kept: HashMap<String, Kept>,
    dirty: usize,
    /// Up to where each partition is folded; none: it is not one of these.
    at: [Option<Position>; PARTITION_COUNT as usize],
    checkpoints: u64,
}

/// An event that changes a row.
struct Step {
    event: RecordedEvent,
    touch: Touch,
}

impl Part {
    pub fn new(fold: Arc<dyn ModelFold>, table: Table, at: impl IntoIterator<Item = (Partition, Position)>) -> Self {
        let mut part =
            Self { fold, table, kept: HashMap::new(), dirty: 0, at: [None; PARTITION_COUNT as usize], checkpoints: 0 };
        for (partition, position) in at {
            part.at[usize::from(partition.number())] = Some(position);
        }
        part
    }

    /// Where its partitions are.
    pub fn at(&self) -> impl Iterator<Item = (Partition, Position)> {
        Partition::all().filter_map(|partition| Some((partition, self.at[usize::from(partition.number())]?)))
    }

    /// Folds rows of the log that follow on those before; what was folded already is passed over. The connection is for the
    /// rows that are not in memory. Answers how many events changed a row.
    pub async fn take(&mut self, connection: &mut PgConnection, rows: &[BulkRow]) -> Result<usize, Error> {
        let mut steps = Vec::with_capacity(rows.len());
        for row in rows {
            let at = &mut self.at[usize::from(row.partition.number())];
            if at.is_none_or(|at| row.position <= at) {
                continue;
            }
            *at = Some(row.position);
            let Some(event) = row.recorded()? else { continue };
            let fact = Fact::of(&event).map_err(|source| self.poison(row.position, source))?;
            if let Some(touch) = self.fold.touch(&fact) {
                steps.push(Step { event, touch });
            }
        }
        self.read_missing(connection, &steps).await?;
        let count = steps.len();
        for step in steps {
            self.apply(step)?;
        }
        Ok(count)
    }

    /// Its partitions are at least here: what lies between is of no concern to them.
    pub fn advance(&mut self, upto: Position) {
        for at in self.at.iter_mut().flatten() {
            *at = upto.max(*at);
        }
    }

    pub fn is_full(&self) -> bool {
        self.dirty >= DIRTY_MAX
    }

    async fn read_missing(&mut self, connection: &mut PgConnection, steps: &[Step]) -> Result<(), Error> {
        let mut known: HashMap<&str, bool> = HashMap::new();
        for Step { touch, .. } in steps {
            if !self.kept.contains_key(&touch.key) {
                known.entry(&touch.key).or_insert(!touch.begins);
            }
        }
        let missing: Vec<&str> = known.into_iter().filter(|(_, wanted)| *wanted).map(|(key, _)| key).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for change in self.table.read(connection, &missing).await? {
            let kept = Kept {
                partition: change.partition,
                generation: change.generation,
                position: change.position,
                row: change.row,
                stored: true,
                dirty: false,
                wanted: self.checkpoints,
            };
            self.kept.insert(change.key, kept);
        }
        Ok(())
    }

    fn apply(&mut self, Step { event, touch }: Step) -> Result<(), Error> {
        // Taken out, so that the fold can own it: what fails here ends the build's making anyway.
        let before = self.kept.remove(&touch.key);
        let (stored, was_dirty) = before.as_ref().map_or((false, false), |kept| (kept.stored, kept.dirty));
        let fact = Fact::of(&event).map_err(|source| self.poison(event.position, source))?;
        let row = self.fold.apply(&touch, before.map(|kept| kept.row), &fact);
        let row = row.map_err(|source| self.poison(event.position, source))?;
        self.dirty += usize::from(!was_dirty);
        let kept = Kept {
            partition: event.partition,
            generation: event.generation,
            position: event.position,
            row,
            stored,
            dirty: true,
            wanted: self.checkpoints,
        };
        self.kept.insert(touch.key, kept);
        Ok(())
    }

    fn poison(&self, position: Position, source: read_models::FoldError) -> Error {
        Error::Poison { model: self.fold.model(), position, why: chain(&source) }
    }

    /// Writes what has changed. The caller commits it together with where the partitions are, or gives the whole part up.
    pub async fn write(&mut self, connection: &mut PgConnection) -> Result<usize, Error> {
        let (mut new, mut known) = (vec![], vec![]);
        for (key, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.dirty) {
            self.fold.complete(&mut kept.row);
            let row = ToWrite {
                key,
                partition: kept.partition,
                generation: kept.generation,
                position: kept.position,
                json: kept.row.to_json(),
            };
            if kept.stored || !self.table.is_ours() { known.push(row) } else { new.push(row) }
        }
        // As the table will be searched: neighbours in its index one after the other.
        new.sort_unstable_by(|one, other| one.key.cmp(other.key));
        let written = new.len() + known.len();
        self.table.insert(connection, &new).await?;
        self.table.update(connection, &known).await?;
        self.checkpoints += 1;
        self.dirty = 0;
        let (checkpoints, crowded) = (self.checkpoints, self.kept.len() > KEPT_MAX);
        self.kept.retain(|_, kept| {
            kept.dirty = false;
            kept.stored = true;
            // Meter values are written once; of the others, what was not wanted of late goes first.
            !crowded || kept.wanted + 1 >= checkpoints
        });
        if self.kept.len() > KEPT_MAX {
            self.kept.clear();
        }
        Ok(written)
    }
}
