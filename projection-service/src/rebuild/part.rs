//! Some partitions of a build: their events folded in memory, their rows written now and then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use event_store::bulk::BulkRow;
use pool::Connection;
use read_models::{Fact, FoldError, ModelFold, Touch, may_touch};
use schema::digest::BlockDigest;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::{PARTITION_COUNT, Partition};
use schema::view::Row;
use uuid::Uuid;

use super::error::{Error, chain};
use super::skipped::Skipped;
use super::table::{Table, ToWrite};
use crate::worker::digests::{Digests, Running};

/// A row as the events so far leave it.
#[derive(Clone)]
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
    /// Rows that may wait to be written, and those that are kept after that.
    rows_max: usize,
    /// Up to where each partition is folded; none: it is not one of these.
    at: [Option<Position>; PARTITION_COUNT as usize],
    checkpoints: u64,
    parking: Parking,
    /// Events that it goes on without.
    skipped: Arc<Skipped>,
    digests: Digests,
    /// Of blocks that are done with, not written down yet.
    ended: Vec<(Partition, BlockDigest)>,
    /// Rows are copied before each event, in case that it can't be applied.
    careful: bool,
    /// One was needed that had not been copied.
    lost: bool,
}

/// Keys that stand still, because of an event that the fold can't apply: it and all that come after it wait.
#[derive(Default)]
struct Parking {
    keys: HashSet<Uuid>,
    /// Not written yet.
    new: Vec<NewlyParked>,
    held: Vec<(Uuid, Position)>,
}

struct NewlyParked {
    key: Uuid,
    partition: Partition,
    position: Position,
    event_type: String,
    error: String,
}

/// An event that changes a row, or waits.
struct Step {
    event: RecordedEvent,
    touch: Result<Touch, FoldError>,
}

impl Part {
    pub fn new(
        fold: Arc<dyn ModelFold>,
        table: Table,
        rows_max: usize,
        at: impl IntoIterator<Item = (Partition, Position)>,
    ) -> Self {
        let mut part = Self {
            fold,
            table,
            kept: HashMap::new(),
            dirty: 0,
            rows_max,
            at: [None; PARTITION_COUNT as usize],
            checkpoints: 0,
            parking: Parking::default(),
            skipped: Arc::default(),
            digests: Digests::default(),
            ended: vec![],
            careful: false,
            lost: false,
        };
        for (partition, position) in at {
            part.at[usize::from(partition.number())] = Some(position);
        }
        part
    }

    /// With the keys that are parked already. `careful`: it never has to start over, and takes longer.
    pub fn with_parked(mut self, keys: HashSet<Uuid>, careful: bool) -> Self {
        self.parking.keys = keys;
        self.careful = careful;
        self
    }

    /// It goes on without these events.
    pub fn without(mut self, skipped: Arc<Skipped>) -> Self {
        self.skipped = skipped;
        self
    }

    /// With the digests of what was consumed up to where its partitions are.
    pub fn with_digests(mut self, digests: Digests) -> Self {
        self.digests = digests;
        self
    }

    /// What is consumed of a partition's block under way.
    pub fn digest(&self, partition: Partition) -> Option<&Running> {
        self.digests.get(partition)
    }

    /// A partition has no further events up to here.
    pub fn reach(&mut self, partition: Partition, upto: Position) {
        self.digests.reach(partition, upto, &mut self.ended);
    }

    /// What was consumed of blocks that are done with since this was asked last.
    pub fn ended(&mut self) -> Vec<(Partition, BlockDigest)> {
        std::mem::take(&mut self.ended)
    }

    /// Where its partitions are.
    pub fn at(&self) -> impl Iterator<Item = (Partition, Position)> {
        Partition::all().filter_map(|partition| Some((partition, self.at[usize::from(partition.number())]?)))
    }

    /// Folds rows of the log that follow on those before; what was folded already is passed over. The connection is for the
    /// rows that are not in memory. Answers how many events changed a row.
    ///
    /// # Errors
    /// [`Error::StartOver`] where an event could not be applied, and nobody had been careful. The part is of no use then.
    pub async fn take(&mut self, connection: &mut Connection<'_>, rows: &[BulkRow]) -> Result<usize, Error> {
        let mut steps = Vec::with_capacity(rows.len());
        for row in rows {
            let at = &mut self.at[usize::from(row.partition.number())];
            if at.is_none_or(|at| row.position <= at) {
                continue;
            }
            *at = Some(row.position);
            self.digests.take_one(row.partition, row.position, row.payload_hash, &mut self.ended);
            if self.skipped.contains(row.position) {
                continue;
            }
            let Some(event) = row.recorded()? else { continue };
            let touch = match Fact::of(&event) {
                Ok(fact) => self.fold.touch(&fact).map(Ok),
                // What can't be understood and could be about it is waited for; anything else is no concern of it.
                Err(error) => {
                    may_touch(self.fold.model(), event.stream.aggregate, &event.event_type).then_some(Err(error))
                }
            };
            if let Some(touch) = touch {
                steps.push(Step { event, touch });
            }
        }
        self.read_missing(connection, &steps).await?;
        let count = steps.len();
        for step in steps {
            self.apply(step);
        }
        if self.lost {
            return Err(Error::StartOver);
        }
        Ok(count)
    }

    /// Its partitions are at least here: what lies between is of no concern to them.
    pub fn advance(&mut self, upto: Position) {
        for (partition, at) in Partition::all().zip(&mut self.at) {
            if let Some(at) = at {
                *at = upto.max(*at);
                self.digests.reach(partition, *at, &mut self.ended);
            }
        }
    }

    pub fn is_full(&self) -> bool {
        self.dirty + self.parking.held.len() >= self.rows_max
    }

    async fn read_missing(&mut self, connection: &mut Connection<'_>, steps: &[Step]) -> Result<(), Error> {
        let mut known: HashMap<&str, bool> = HashMap::new();
        for touch in steps.iter().filter_map(|step| step.touch.as_ref().ok()) {
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

    fn apply(&mut self, Step { event, touch }: Step) {
        let key = event.partition_key;
        if self.parking.keys.contains(&key) {
            self.parking.held.push((key, event.position));
            return;
        }
        if let Err(error) = touch.and_then(|touch| self.fold_one(&event, touch)) {
            self.parking.keys.insert(key);
            self.parking.held.push((key, event.position));
            self.parking.new.push(NewlyParked {
                key,
                partition: event.partition,
                position: event.position,
                event_type: event.event_type,
                error: chain(&error),
            });
        }
    }

    fn fold_one(&mut self, event: &RecordedEvent, touch: Touch) -> Result<(), FoldError> {
        let fact = Fact::of(event)?;
        // Taken out, so that the fold can own it.
        let before = self.kept.remove(&touch.key);
        let (stored, was_dirty) = before.as_ref().map_or((false, false), |kept| (kept.stored, kept.dirty));
        let spare = if self.careful { before.clone() } else { None };
        let row = match self.fold.apply(&touch, before.map(|kept| kept.row), &fact) {
            Ok(row) => row,
            Err(error) => {
                match spare {
                    Some(kept) => drop(self.kept.insert(touch.key, kept)),
                    // The table does not have it as it was.
                    None => self.lost |= was_dirty,
                }
                return Err(error);
            }
        };
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

    /// Writes what has changed. The caller commits it together with where the partitions are, or gives the whole part up.
    pub async fn write(&mut self, connection: &mut Connection<'_>, build_id: i64) -> Result<usize, Error> {
        self.parking.write(connection, build_id).await?;
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
            if kept.stored { known.push(row) } else { new.push(row) }
        }
        // As the table will be searched: neighbours in its index one after the other.
        new.sort_unstable_by(|one, other| one.key.cmp(other.key));
        let written = new.len() + known.len();
        self.table.insert(connection, &new).await?;
        self.table.update(connection, &known).await?;
        self.checkpoints += 1;
        self.dirty = 0;
        let (checkpoints, crowded) = (self.checkpoints, self.kept.len() > self.rows_max);
        self.kept.retain(|_, kept| {
            kept.dirty = false;
            kept.stored = true;
            // Meter values are written once; of the others, what was not wanted of late goes first.
            !crowded || kept.wanted + 1 >= checkpoints
        });
        if self.kept.len() > self.rows_max {
            self.kept.clear();
        }
        Ok(written)
    }
}

impl Parking {
    async fn write(&mut self, connection: &mut Connection<'_>, build_id: i64) -> Result<(), sqlx::Error> {
        let (new, held) = (std::mem::take(&mut self.new), std::mem::take(&mut self.held));
        if !new.is_empty() {
            sqlx::query("SELECT views.park($1, $2, $3, $4, $5, $6)")
                .bind(vec![build_id; new.len()])
                .bind(new.iter().map(|parked| parked.key).collect::<Vec<_>>())
                .bind(new.iter().map(|parked| i16::from(parked.partition.number())).collect::<Vec<_>>())
                .bind(new.iter().map(|parked| parked.position.0).collect::<Vec<_>>())
                .bind(new.iter().map(|parked| parked.event_type.as_str()).collect::<Vec<_>>())
                .bind(new.iter().map(|parked| parked.error.as_str()).collect::<Vec<_>>())
                .persistent(false)
                .execute(&mut *connection)
                .await?;
        }
        if !held.is_empty() {
            sqlx::query("SELECT views.hold($1, $2, $3)")
                .bind(vec![build_id; held.len()])
                .bind(held.iter().map(|(key, _)| *key).collect::<Vec<_>>())
                .bind(held.iter().map(|(_, position)| position.0).collect::<Vec<_>>())
                .persistent(false)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
