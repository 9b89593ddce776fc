//! One row as it was.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::envelope::Retention;
use domain::event::AggregateType;
use event_store::past::Span;
use futures_util::{StreamExt, TryStreamExt, stream};
use read_models::{ModelFold, retention};
use schema::log::{Position, RecordedEvent, StreamId};
use schema::view::{Model, Reached, RowChange, Version};
use uuid::Uuid;

use crate::sources::Source;
use crate::step::{Stepped, settled, step, touch};
use crate::{Error, Moment, Past};

/// Events of a stream that one statement answers.
const PAGE: i64 = 1_000;
/// Rows that are folded one by one at the same time.
const ROWS_AT_ONCE: usize = 4;
/// More rows than these are not folded one by one.
const ONE_BY_ONE_MAX: usize = 24;
/// Rows of the boundary that one statement answers.
pub(crate) const ROWS_READ: usize = 1_000;
/// The events of one append stand together, and there are fewer.
const APPEND_EVENTS_MAX: i64 = 1_000;

impl Past {
    /// The row as it was; none where there was none.
    ///
    /// # Errors
    /// When it would take events that are gone, among others.
    pub async fn get(&self, model: Model, key: &str, at: &Moment) -> Result<Option<Arc<RowChange>>, Error> {
        Ok(self.get_all(model, &[key], at).await?.pop())
    }

    /// Of some keys the rows that there were; in no order.
    pub async fn get_all(&self, model: Model, keys: &[&str], at: &Moment) -> Result<Vec<Arc<RowChange>>, Error> {
        self.or_not_kept(retention(model), self.fold_all(model, keys, at).await).await
    }

    async fn fold_all(&self, model: Model, keys: &[&str], at: &Moment) -> Result<Vec<Arc<RowChange>>, Error> {
        // First: a row that is read after it holds at least as much.
        let reached = self.views().reached().await?;
        let versions = self.views().versions(model, keys, at.position).await?;
        let kept: HashMap<&str, &Version> = versions.iter().map(|kept| (kept.row.key.as_str(), kept)).collect();
        let of = |key: &str| kept.get(key).copied().cloned();
        let open = keys.iter().filter(|key| !kept.get(**key).is_some_and(|kept| is_whole(kept, reached, at)));
        if open.count() > ONE_BY_ONE_MAX {
            return self.get_many(model, keys, at).await;
        }
        let looks: Vec<_> = keys.iter().map(|key| self.complete(model, key, of(key), reached, at)).collect();
        let rows: Vec<_> = stream::iter(looks).buffer_unordered(ROWS_AT_ONCE).try_collect().await?;
        Ok(rows.into_iter().flatten().filter(|row| !row.removed).collect())
    }

    /// Of many keys: from the boundary, and all that came after it.
    async fn get_many(&self, model: Model, keys: &[&str], at: &Moment) -> Result<Vec<Arc<RowChange>>, Error> {
        let base = self.base(model, at).await?;
        let delta = self.delta(model, base, at).await?;
        let fold = self.fold_of(model).await?;
        let mut rows = Vec::with_capacity(keys.len());
        let changed = keys.iter().filter_map(|key| delta.rows.get(*key));
        for row in changed {
            rows.push(settled(fold.as_ref(), RowChange::clone(row))?);
        }
        let unchanged: Vec<&str> = keys.iter().copied().filter(|key| !delta.rows.contains_key(*key)).collect();
        for keys in unchanged.chunks(ROWS_READ) {
            let versions = self.views().versions(model, keys, base).await?;
            rows.extend(versions.into_iter().map(|version| version.row).filter(|row| !row.removed));
        }
        Ok(rows)
    }

    /// One row, by itself.
    pub(crate) async fn one(&self, model: Model, key: &str, at: &Moment) -> Result<Option<Arc<RowChange>>, Error> {
        let reached = self.views().reached().await?;
        let kept = self.views().versions(model, &[key], at.position).await?.pop();
        Ok(self.complete(model, key, kept, reached, at).await?.filter(|row| !row.removed))
    }

    /// The row with all that happened to it after what is kept of it.
    async fn complete(
        &self,
        model: Model,
        key: &str,
        kept: Option<Version>,
        reached: Reached,
        at: &Moment,
    ) -> Result<Option<Arc<RowChange>>, Error> {
        if kept.as_ref().is_some_and(|kept| is_whole(kept, reached, at)) {
            return Ok(kept.map(|version| version.row));
        }
        let row = kept.map(|version| version.row);
        let Some(source) = Source::of(model, key) else { return Ok(row) };
        let after = row.as_ref().map_or(Position::START, |row| row.position);
        let fold = self.fold_of(model).await?;
        let row = row.map(Arc::unwrap_or_clone);
        let mut folding = Folding { model, key, fold: fold.as_ref(), row, parked: false, skips: None };
        match source {
            Source::Stream(stream) => self.fold_stream(&mut folding, stream, after, at).await?,
            Source::Event(stream, sequence) => {
                let span = Span { after: sequence - 1, upto: sequence, version: 0, first_position: Position::START };
                let events = self.store().read_span(stream, span, 1).await?;
                let events: Vec<_> = events.into_iter().filter(|event| event.position <= at.position).collect();
                self.fold(&mut folding, &events, at).await?;
            }
            Source::Command(id) => self.fold_command(&mut folding, id, after, at).await?,
        }
        folding.row.map(|row| settled(fold.as_ref(), row)).transpose()
    }

    async fn fold_stream(
        &self,
        folding: &mut Folding<'_>,
        stream: StreamId,
        after: Position,
        at: &Moment,
    ) -> Result<(), Error> {
        let mut span = self.store().span(stream, after, at.position).await?;
        if span.after >= span.upto {
            return Ok(());
        }
        self.is_kept(folding.model, after.max(Position(span.first_position.0 - 1))).await?;
        while span.after < span.upto && !folding.parked {
            let events = self.store().read_span(stream, span, PAGE).await?;
            let Some(last) = events.last() else { break };
            span.after = last.sequence;
            self.fold(folding, &events, at).await?;
        }
        Ok(())
    }

    async fn fold_command(
        &self,
        folding: &mut Folding<'_>,
        id: Uuid,
        after: Position,
        at: &Moment,
    ) -> Result<(), Error> {
        let stream = StreamId { aggregate: AggregateType::StationCommand, id };
        if self.store().span(stream, after, at.position).await?.version > 0 {
            return self.fold_stream(folding, stream, after, at).await;
        }
        let _turn = self.turn().await?;
        let (after, upto) = match &folding.row {
            Some(_) => (after, at.position.min(Position(after.0 + APPEND_EVENTS_MAX))),
            // Were it in what the boundary holds, it would have been found.
            None => (self.base(folding.model, at).await?, at.position),
        };
        let events = self.store().read_caused(id, after, upto, retention(folding.model)).await?;
        self.fold(folding, &events, at).await
    }

    async fn fold(&self, folding: &mut Folding<'_>, events: &[RecordedEvent], at: &Moment) -> Result<(), Error> {
        for event in events {
            if folding.parked {
                return Ok(());
            }
            let key = event.partition_key;
            let skips = match folding.skips.take() {
                Some((of, skips)) if of == key => skips,
                // All events of a row are of one key.
                _ => self.skips_of(folding.model, key, at.position).await?,
            };
            let skipped = skips.contains(&event.position);
            folding.skips = Some((key, skips));
            if skipped {
                continue;
            }
            let touch = touch(folding.fold, event).filter(|touch| touch.key == folding.key);
            folding.row = match step(folding.fold, touch, folding.row.take(), event) {
                Stepped::Same(row) => row,
                Stepped::Changed(row) => Some(row),
                Stepped::Parked(row) => {
                    folding.parked = true;
                    row
                }
            };
        }
        Ok(())
    }

    /// Whether all events after a position can be read that the read model is made of.
    pub(crate) async fn is_kept(&self, model: Model, after: Position) -> Result<(), Error> {
        let kept_after = self.store().kept_after(retention(model)).await?;
        if after >= kept_after { Ok(()) } else { Err(self.not_kept(kept_after).await?) }
    }

    /// That events of these classes are gone for good, said as from where on there are all.
    pub(crate) async fn or_not_kept<T>(&self, classes: &[Retention], looked: Result<T, Error>) -> Result<T, Error> {
        match looked {
            Err(Error::Log(error)) if error.is_of_what_is_gone() => {
                tracing::error!(error = &error as &dyn std::error::Error, "events of the past are gone");
                Err(self.not_kept(self.store().in_log_after(classes).await?).await?)
            }
            looked => looked,
        }
    }

    async fn not_kept(&self, kept_after: Position) -> Result<Error, Error> {
        let earliest = self.views().boundaries().await?.at_or_above(kept_after).unwrap_or(kept_after);
        Ok(Error::NotKept { earliest })
    }
}

/// Whether nothing has changed the row between its version and the moment.
fn is_whole(kept: &Version, reached: Reached, at: &Moment) -> bool {
    kept.until.is_none() && reached.position >= at.position
}

struct Folding<'k> {
    model: Model,
    key: &'k str,
    fold: &'k dyn ModelFold,
    row: Option<RowChange>,
    /// It stands still, whatever comes.
    parked: bool,
    /// Events of a key that are passed over by then, whether the fold could apply them or not.
    skips: Option<(Uuid, HashSet<Position>)>,
}
