//! Releasing a parked key: what waited is folded in order, right where the log says so.

use event_store::{EventStore, read};
use pool::Connection;
use schema::log::{Position, RecordedEvent};
use schema::view::RowChange;
use sqlx::Row;
use uuid::Uuid;

use super::batch::{Folded, Plan, Slot};
use super::builds::Build;
use super::parked::{Operation, Parked};
use super::rows::Rows;
use super::{Error, chain};

/// Parked events that one release folds: all of them are in memory, and in one transaction. The rest stays parked, and can
/// be released next.
pub(crate) const RELEASED_EVENTS_MAX: i64 = if cfg!(test) { 10 } else { 10_000 };

/// In place of the type of an event that a release could not read.
const NOT_READ: &str = "(not read)";

/// What became of a key that one build had parked.
#[derive(Debug)]
pub(super) struct Released {
    pub build_id: i64,
    pub partition_key: Uuid,
    /// The event that was left out.
    pub skip: Option<Position>,
    /// None: it waits as before, since what was left out was not what it waits for.
    pub outcome: Option<Outcome>,
}

#[derive(Debug)]
pub(super) struct Outcome {
    /// Where it stands still again; none: nowhere.
    pub rest: Option<Rest>,
}

#[derive(Debug)]
pub(super) struct Rest {
    pub position: Position,
    pub event_type: String,
    pub error: String,
}

/// What waits of a key in a build, in order.
pub(crate) struct Waiting {
    /// The event that could not be applied.
    pub stopped_at: Position,
    /// At most one more than [`RELEASED_EVENTS_MAX`].
    pub positions: Vec<Position>,
}

impl Waiting {
    /// None: the key is not parked there.
    pub async fn read(
        connection: &mut Connection<'_>,
        build_id: i64,
        partition_key: Uuid,
        without: Option<Position>,
    ) -> Result<Option<Self>, sqlx::Error> {
        let statement = sqlx::query(include_str!("sql/waiting.sql"))
            .bind(build_id)
            .bind(partition_key)
            .bind(without.map(|position| position.0))
            .bind(RELEASED_EVENTS_MAX + 1)
            .persistent(false);
        let Some(row) = statement.fetch_optional(connection).await? else { return Ok(None) };
        let positions: Vec<i64> = row.try_get(1)?;
        let positions = positions.into_iter().map(Position).collect();
        Ok(Some(Self { stopped_at: Position(row.try_get(0)?), positions }))
    }
}

/// Does to a build what the event at hand says. The rows, which take that event's position, are answered beside what is to be
/// written down of the key.
pub(super) async fn release(
    connection: &mut Connection<'_>,
    store: &EventStore,
    rows: &Rows,
    parked: &mut Parked,
    (builds, nth): (&[Build], usize),
    (event, operation): (&RecordedEvent, &Operation),
) -> Result<Option<(Released, Vec<(usize, RowChange)>)>, Error> {
    let build = &builds[nth];
    let Operation { partition_key, skip, .. } = *operation;
    let waiting = Waiting::read(connection, build.id, partition_key, skip).await.map_err(Error::Write)?;
    let Some(waiting) = waiting else { return Ok(None) };
    let released = |outcome| Released { build_id: build.id, partition_key, skip, outcome };
    if skip.is_some_and(|skip| skip != waiting.stopped_at) {
        return Ok(Some((released(None), vec![])));
    }
    let Waiting { stopped_at, mut positions } = waiting;
    let beyond = (positions.len() as i64 > RELEASED_EVENTS_MAX).then(|| positions.pop()).flatten();
    let events = match store.read_at(&positions).await {
        Ok(events) => events,
        // Others don't wait for what one key lacks: it stays parked, and says why.
        Err(error) if is_of_the_key(&error) => {
            let error = chain(&error);
            tracing::error!(model = build.model.name(), key = %partition_key, error, "a key can't be released");
            let position = positions.first().copied().unwrap_or(stopped_at);
            let error = format!("{error}. Then release the key again");
            let rest = Rest { position, event_type: NOT_READ.to_owned(), error };
            return Ok(Some((released(Some(Outcome { rest: Some(rest) })), vec![])));
        }
        Err(error) => return Err(event_store::feed::Error::Read(error).into()),
    };

    parked.release(build, partition_key);
    let folded = fold(rows, builds, nth, &events, parked).await?;
    let lost = positions.iter().find(|position| !events.iter().any(|event| event.position == **position));
    let rest = match (folded.parked.into_iter().next(), lost, beyond) {
        (Some(again), ..) => {
            Some(Rest { position: again.held.position, event_type: again.event_type, error: again.error })
        }
        (None, Some(&lost), _) => {
            tracing::warn!(position = %lost, "a parked event is not in the log any more: it is left out");
            beyond.map(unfinished)
        }
        (None, None, beyond) => beyond.map(unfinished),
    };
    if rest.is_some() {
        parked.park(build, partition_key);
    }
    let place = |(nth, mut row): (usize, RowChange)| {
        (row.position, row.generation) = (event.position, event.generation);
        (nth, row)
    };
    Ok(Some((released(Some(Outcome { rest })), folded.rows.into_iter().map(place).collect())))
}

/// Whether its events can't be read, while others can.
fn is_of_the_key(error: &read::Error) -> bool {
    match error {
        read::Error::Archive(_) | read::Error::Gone { .. } | read::Error::NotKept { .. } => true,
        read::Error::Unavailable(_) | read::Error::Corrupt { .. } | read::Error::UnknownAggregate { .. } => false,
    }
}

fn unfinished(position: Position) -> Rest {
    Rest {
        position,
        event_type: String::new(),
        error: format!("{RELEASED_EVENTS_MAX} events before it were applied: release the key again for the rest"),
    }
}

/// Folds events for one build alone.
pub(crate) async fn fold(
    rows: &Rows,
    builds: &[Build],
    nth: usize,
    events: &[RecordedEvent],
    parked: &mut Parked,
) -> Result<Folded, Error> {
    // As the only build, so that nothing else is folded.
    let plan = Plan::of(events, std::slice::from_ref(&builds[nth]));
    let wanted: Vec<Slot> = plan.wanted().into_iter().map(|(_, key)| (nth, key)).collect();
    let read = rows.read(builds, &wanted).await?;
    let present = |(_, key): &Slot| {
        let slot = (nth, key.clone());
        rows.get(&slot).or_else(|| read.get(&slot)).map(|row| RowChange::clone(row))
    };
    let mut folded = plan.fold(parked, present);
    folded.rows.iter_mut().for_each(|(of, _)| *of = nth);
    Ok(folded)
}
