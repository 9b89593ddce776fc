//! What came after a boundary: the rows that events between it and a position have changed, as they were then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use quick_cache::Weighter;
use read_models::{Fact, ModelFold, aggregates, passed_over, retention};
use schema::log::{Position, RecordedEvent, StreamId};
use schema::view::{Model, RowChange};
use uuid::Uuid;

use crate::past::DeltaKey;
use crate::row::ROWS_READ;
use crate::step::touch;
use crate::{Error, Moment, Past};

/// Positions that one statement looks over, and how many statements are ahead of the fold.
const READ_POSITIONS: i64 = 10_000;
const READS_AHEAD: usize = 3;
/// More are not folded for one answer. Boundaries are nearer to each other than that.
pub const POSITIONS_MAX: i64 = 1_000_000;

/// The rows of a read model that have changed between a boundary and a position, by their keys. What is added to rows at last
/// is still to be added to them.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub rows: HashMap<String, Arc<RowChange>>,
}

/// What a delta counts for among those that are kept.
#[derive(Clone)]
pub(crate) struct RowCount;

impl Weighter<DeltaKey, Arc<Delta>> for RowCount {
    fn weight(&self, _: &DeltaKey, delta: &Arc<Delta>) -> u64 {
        delta.rows.len() as u64 + 1
    }
}

impl Past {
    /// The boundary that what was at a moment is built upon.
    pub(crate) async fn base(&self, model: Model, at: &Moment) -> Result<Position, Error> {
        let reached = self.views().reached().await?.position;
        let upto = at.position.min(reached);
        let base = match model {
            // Each is written once: as it is, it was.
            Model::MeterValues => upto,
            _ => {
                let boundaries = self.views().boundaries().await?;
                match boundaries.at_or_below(upto) {
                    Some(boundary) => boundary,
                    // Before the first event there was nothing: that is known without being kept.
                    None if upto.0 <= POSITIONS_MAX => Position::START,
                    None => return Err(Error::NotKept { earliest: boundaries.first().unwrap_or(reached) }),
                }
            }
        };
        if at.position.0 - base.0 > POSITIONS_MAX {
            return Err(Error::Behind { reached });
        }
        if at.position > base {
            self.is_kept(model, base).await?;
        }
        Ok(base)
    }

    /// What came after the boundary. It is kept for who asks next.
    pub(crate) async fn delta(&self, model: Model, base: Position, at: &Moment) -> Result<Arc<Delta>, Error> {
        if base >= at.position {
            return Ok(Arc::default());
        }
        let key = (model, at.generation, base, at.position);
        // Who asks for the same waits for the one who folds it.
        let folded = self.deltas().get_or_insert_async(&key, async {
            let _turn = self.turn().await?;
            Ok::<_, Error>(Arc::new(self.fold_delta(model, base, at).await?))
        });
        folded.await
    }

    async fn fold_delta(&self, model: Model, base: Position, at: &Moment) -> Result<Delta, Error> {
        let store = self.store().clone();
        let upto = at.position.0;
        let reads = (base.0..upto).step_by(READ_POSITIONS as usize).map(move |after| {
            let (store, upto) = (store.clone(), upto.min(after + READ_POSITIONS));
            // A task of its own: it decodes on another core meanwhile.
            tokio::spawn(async move {
                let selected = (aggregates(model), passed_over(model), retention(model));
                store.read_selected(Position(after), Position(upto), selected).await
            })
        });
        let mut reads = stream::iter(reads).buffered(READS_AHEAD);
        let fold = self.fold_of(model).await?;
        let stood_still = self.views().parked_keys(model).await?.into_iter().collect();
        let mut fold = Fold {
            model,
            fold: fold.as_ref(),
            base,
            rows: HashMap::new(),
            parked: HashSet::new(),
            stood_still,
            alone: HashSet::new(),
            skipped: self.skips(model, at.position).await?,
        };
        while let Some(read) = reads.next().await {
            // It is neither aborted nor does it panic.
            let Ok(events) = read else { return Err(Error::Busy { retry_after: std::time::Duration::from_secs(1) }) };
            self.advance(&mut fold, &events?).await?;
        }
        let Fold { rows, alone, .. } = fold;
        let mut rows: HashMap<_, _> = rows.into_iter().filter_map(|(key, row)| Some((key, Arc::new(row?)))).collect();
        for key in alone {
            match self.one(model, &key, at).await? {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
            };
        }
        Ok(Delta { rows })
    }

    async fn advance(&self, fold: &mut Fold<'_>, events: &[RecordedEvent]) -> Result<(), Error> {
        let events: Vec<_> = events.iter().filter(|event| !fold.skipped.contains(&event.position)).collect();
        let touches: Vec<_> = events.iter().map(|event| touch(fold.fold, event)).collect();
        let mut wanted: Vec<&str> = vec![];
        let mut seen: HashSet<&str> = HashSet::new();
        for touch in touches.iter().flatten() {
            if !fold.rows.contains_key(&touch.key) && seen.insert(&touch.key) && !touch.begins {
                wanted.push(&touch.key);
            }
        }
        for keys in wanted.chunks(ROWS_READ) {
            let versions = self.views().versions(fold.model, keys, fold.base).await?;
            let overwritten: Vec<_> = versions.iter().filter_map(|version| version.until).collect();
            let released = self.store().releases(&overwritten).await?;
            for version in versions {
                if version.until.is_some_and(|until| released.contains(&until)) {
                    fold.alone.insert(version.row.key.clone());
                }
                fold.rows.insert(version.row.key.clone(), Some(Arc::unwrap_or_clone(version.row)));
            }
        }
        for (event, touch) in events.into_iter().zip(touches) {
            if fold.parked.contains(&event.stream) {
                continue;
            }
            let Ok(fact) = Fact::of(event) else {
                fold.parked.insert(event.stream);
                continue;
            };
            let Some(touch) = touch else { continue };
            if fold.alone.contains(&touch.key) {
                continue;
            }
            if fold.stood_still.contains(&event.partition_key) {
                fold.alone.insert(touch.key);
                continue;
            }
            let row = fold.rows.remove(&touch.key).flatten().filter(|row| !row.removed).map(|row| row.row);
            match fold.fold.apply(&touch, row, &fact) {
                Ok(row) => {
                    fold.rows.insert(touch.key.clone(), Some(read_models::change(touch.key, event, row)));
                }
                // The row is gone now. It is rare enough to be folded again.
                Err(_) => {
                    fold.alone.insert(touch.key);
                }
            }
        }
        Ok(())
    }
}

struct Fold<'f> {
    model: Model,
    fold: &'f dyn ModelFold,
    base: Position,
    /// Rows that were touched; none: one that did not come to be.
    rows: HashMap<String, Option<RowChange>>,
    /// Streams that stand still.
    parked: HashSet<StreamId>,
    /// Partition keys that are parked by now. What the boundary has of their rows may lack events from before it.
    stood_still: HashSet<Uuid>,
    /// Rows of such keys, of those that were released since, and those to which an event can't be applied: each is folded by
    /// itself.
    alone: HashSet<String>,
    /// Events that are passed over by then, whether the fold could apply them or not.
    skipped: HashSet<Position>,
}
