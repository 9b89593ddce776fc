//! The folds of a program, by read model and version: the newest that builds are made with, and older ones for builds that
//! are still there.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schema::log::RecordedEvent;
use schema::view::{Model, Row, RowChange};

use crate::dispatch::{FromRow, Touch};
use crate::{
    ChargePoints, Commands, Drivers, Fact, FoldError, MeterValues, Plans, ReadModel, Sessions, Sites, Tariffs, Tokens,
};

/// One version of the fold of one read model.
pub trait ModelFold: Send + Sync {
    fn model(&self) -> Model;

    fn version(&self) -> u32;

    /// The row that the event changes; none: it changes none of this read model.
    fn touch(&self, fact: &Fact<'_>) -> Option<Touch>;

    /// The row after the event, without what [`complete`](Self::complete) adds.
    ///
    /// # Errors
    /// When the event does not fit the row.
    fn apply(&self, touch: &Touch, row: Option<Row>, fact: &Fact<'_>) -> Result<Row, FoldError>;

    /// Adds what follows from the rest of the row. Once before the row is written is enough, however many events there were.
    fn complete(&self, row: &mut Row);

    /// The row after the event, whole.
    ///
    /// # Errors
    /// When the event does not fit the row.
    fn fold(&self, touch: Touch, present: Option<RowChange>, fact: &Fact<'_>) -> Result<RowChange, FoldError> {
        let row = present.filter(|present| !present.removed).map(|present| present.row);
        let mut row = self.apply(&touch, row, fact)?;
        self.complete(&mut row);
        Ok(change(touch.key, fact.recorded, row))
    }
}

/// The row as the event leaves it.
pub fn change(key: String, event: &RecordedEvent, row: Row) -> RowChange {
    RowChange {
        key,
        partition: event.partition,
        generation: event.generation,
        position: event.position,
        removed: false,
        row,
    }
}

struct Of<M>(PhantomData<fn() -> M>);

impl<M: ReadModel<Row: FromRow> + 'static> ModelFold for Of<M> {
    fn model(&self) -> Model {
        M::MODEL
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn touch(&self, fact: &Fact<'_>) -> Option<Touch> {
        let key = M::key(fact)?;
        Some(Touch { model: M::MODEL, key, begins: M::begins(fact) })
    }

    fn apply(&self, touch: &Touch, row: Option<Row>, fact: &Fact<'_>) -> Result<Row, FoldError> {
        let other = || FoldError::OtherModel { model: M::MODEL, key: touch.key.clone() };
        let row = row.map(|row| M::Row::from_row(row).ok_or_else(other)).transpose()?;
        Ok(M::apply(row, fact)?.into_row())
    }

    fn complete(&self, row: &mut Row) {
        if let Some(row) = M::Row::of_row(row) {
            M::complete(row);
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Folds(Arc<BTreeMap<(Model, u32), Arc<dyn ModelFold>>>);

impl Folds {
    /// Those of this program: of each read model the newest.
    pub fn of_today() -> Self {
        let none = Self(Arc::new(BTreeMap::new()));
        let some = none.with::<ChargePoints>().with::<Sessions>().with::<MeterValues>().with::<Commands>();
        some.with::<Drivers>().with::<Tokens>().with::<Sites>().with::<Tariffs>().with::<Plans>()
    }

    /// Another version beside those that are here; one of the same number takes its place.
    #[must_use]
    pub fn with<M: ReadModel<Row: FromRow> + 'static>(self) -> Self {
        let mut folds = Arc::unwrap_or_clone(self.0);
        folds.insert((M::MODEL, M::VERSION), Arc::new(Of::<M>(PhantomData)));
        Self(Arc::new(folds))
    }

    /// None: this program has no such fold.
    pub fn get(&self, model: Model, version: u32) -> Option<&Arc<dyn ModelFold>> {
        self.0.get(&(model, version))
    }

    /// The versions that there are of a read model, ascending.
    pub fn versions(&self, model: Model) -> Vec<u32> {
        self.0.range((model, 0)..=(model, u32::MAX)).map(|((_, version), _)| *version).collect()
    }

    /// What a build made now is made with.
    ///
    /// # Panics
    /// Never: every read model has a fold.
    pub fn newest(&self, model: Model) -> &Arc<dyn ModelFold> {
        let versions = self.0.range((model, 0)..=(model, u32::MAX));
        versions.last().map(|(_, fold)| fold).expect("every read model has a fold")
    }
}

impl Default for Folds {
    fn default() -> Self {
        Self::of_today()
    }
}

impl fmt::Debug for Folds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
