//! What a release would do: the events that wait, folded by this program's code, and nothing written.

use event_store::EventStore;
use pool::Pool;
use read_models::Folds;
use schema::log::Position;
use schema::view::{Model, RowChange, ViewStore};
use uuid::Uuid;

use super::Error;
use crate::worker::builds;
use crate::worker::release::{RELEASED_EVENTS_MAX, Waiting, fold};
use crate::worker::{parked::Parked, rows::Rows};

/// What a release would make of a build's parked key.
#[derive(Debug, Clone)]
pub struct Trial {
    pub model: Model,
    /// The event that could not be applied.
    pub stopped_at: Position,
    /// Events that would be applied.
    pub applied: usize,
    /// Where it would stand still again, and why.
    pub stops_at: Option<(Position, String)>,
    /// More events wait than one release applies.
    pub more: bool,
    /// The rows as they would be.
    pub rows: Vec<RowChange>,
}

/// Folds what waits of a key in each build of a read model that has it parked, by the folds given. `without`: as if that
/// event were skipped.
///
/// # Errors
/// [`Error::NotParked`] among others.
pub async fn try_release(
    pool: impl Into<Pool>,
    store: &EventStore,
    folds: &Folds,
    (model, key): (Model, Uuid),
    without: Option<Position>,
) -> Result<Vec<Trial>, Error> {
    let pool = &pool.into();
    let mut connection = pool.acquire().await?;
    let builds = builds::load(&mut connection, folds).await?;
    let rows = Rows::new(ViewStore::new(pool.clone()), pool.clone(), 1);
    let mut trials = vec![];
    for nth in builds.iter().enumerate().filter(|(_, build)| build.model == model).map(|(nth, _)| nth) {
        let Some(waiting) = Waiting::read(&mut connection, builds[nth].id, key, without).await? else { continue };
        let Waiting { stopped_at, mut positions } = waiting;
        let more = positions.len() as i64 > RELEASED_EVENTS_MAX;
        positions.truncate(usize::try_from(RELEASED_EVENTS_MAX).unwrap_or(usize::MAX));
        let events = store.read_at(&positions).await?;
        let folded = fold(&rows, &builds, nth, &events, &mut Parked::default()).await?;
        let stops_at = folded.parked.into_iter().next().map(|again| (again.held.position, again.error));
        let applied = events.len() - folded.held.len();
        let rows = folded.rows.into_iter().map(|(_, row)| row).collect();
        trials.push(Trial { model, stopped_at, applied, stops_at, more, rows });
    }
    if trials.is_empty() {
        return Err(Error::NotParked { model, key });
    }
    Ok(trials)
}
