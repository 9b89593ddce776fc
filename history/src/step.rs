//! One event of the past applied to one row.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Event;
use domain::event::AggregateType;
use domain::read_model::{ReadModel, ReadModelEvent};
use read_models::{Fact, ModelFold, Touch};
use schema::log::{Position, RecordedEvent, StreamId};
use schema::view::{Model, Row, RowChange};
use uuid::Uuid;

use crate::{Error, Past};

/// What became of a row.
pub(crate) enum Stepped {
    /// The event does not concern it.
    Same(Option<RowChange>),
    /// Without what is added to a row at last.
    Changed(RowChange),
    /// The event can't be applied: the row stood still before it.
    Parked(Option<RowChange>),
}

/// The row of the read model that an event changes; none: it changes none, or can't be understood.
pub(crate) fn touch(fold: &dyn ModelFold, event: &RecordedEvent) -> Option<Touch> {
    fold.touch(&Fact::of(event).ok()?)
}

/// `touch`: of the row, by this event.
pub(crate) fn step(
    fold: &dyn ModelFold,
    touch: Option<Touch>,
    row: Option<RowChange>,
    event: &RecordedEvent,
) -> Stepped {
    let Ok(fact) = Fact::of(event) else { return Stepped::Parked(row) };
    let Some(touch) = touch else { return Stepped::Same(row) };
    let present = row.as_ref().filter(|row| !row.removed).map(|row| row.row.clone());
    match fold.apply(&touch, present, &fact) {
        Ok(row) => Stepped::Changed(read_models::change(touch.key, event, row)),
        Err(_) => Stepped::Parked(row),
    }
}

/// The row as it would be read from its table: whole, and with another character where `jsonb` can't hold one.
pub(crate) fn settled(fold: &dyn ModelFold, mut change: RowChange) -> Result<Arc<RowChange>, Error> {
    fold.complete(&mut change.row);
    let json = change.row.to_json();
    if json.contains('\u{fffd}') {
        let model = change.row.model();
        change.row = Row::from_json(model, &json)
            .map_err(|source| Error::from(schema::view::Error::Corrupt { model, key: change.key.clone(), source }))?;
    }
    Ok(Arc::new(change))
}

impl Past {
    /// The fold that the rows of a read model are made with: that of the build that serves.
    pub(crate) async fn fold_of(&self, model: Model) -> Result<Arc<dyn ModelFold>, Error> {
        let version = self.views().live_fold_version(model).await?;
        let of_live = u32::try_from(version).ok().and_then(|version| self.folds().get(model, version));
        Ok(Arc::clone(of_live.unwrap_or_else(|| self.folds().newest(model))))
    }

    /// The events of one key that somebody has had the read model go on without, by events at `upto` or before it.
    pub(crate) async fn skips_of(
        &self,
        model: Model,
        partition_key: Uuid,
        upto: Position,
    ) -> Result<HashSet<Position>, Error> {
        let id = ReadModel::key_stream_id(model.name(), partition_key);
        let told = self.store().read_stream(StreamId { aggregate: AggregateType::ReadModel, id }, 1).await?;
        Ok(skips(model, &told, upto))
    }

    /// Those of all keys.
    pub(crate) async fn skips(&self, model: Model, upto: Position) -> Result<HashSet<Position>, Error> {
        Ok(skips(model, &self.store().skips().await?, upto))
    }
}

fn skips(model: Model, told: &[RecordedEvent], upto: Position) -> HashSet<Position> {
    let skip = |event: &RecordedEvent| match event.event.as_deref() {
        Ok(Event::ReadModel(ReadModelEvent::ParkedEventSkipped { model: of, position, .. })) if of == model.name() => {
            Some(Position(*position))
        }
        _ => None,
    };
    told.iter().filter(|event| event.position <= upto).filter_map(skip).collect()
}
