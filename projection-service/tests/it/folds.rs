//! Folds of programs that differ.

use domain::envelope::Retention;
use event_store::EventStore;
use read_models::testing::{Network, fold_log};
use read_models::{ChargePoints, Fact, FoldError, Folds, ReadModel, Sessions};
use schema::log::Position;
use schema::view::{ChargePointRow, Model, SessionRow};

use crate::support::{grow, log};

/// Two read models whose folds refuse some events, always the same ones.
pub fn refusing() -> Folds {
    Folds::of_today().with::<RefusingSessions>().with::<RefusingChargePoints>()
}

/// Grows until enough is refused: some events of sessions, and one that others of its key come after.
pub async fn grow_refused(store: &EventStore, network: &mut Network) -> Position {
    let mut head = grow(store, network, 600).await;
    loop {
        let log = log(store).await;
        let facts = log.iter().filter_map(|event| Fact::of(event).ok());
        let of_sessions = facts.filter(|fact| Sessions::key(fact).is_some() && refuses(fact)).count();
        let waits = fold_log(&refusing(), &log).parked.values().any(|parked| !parked.waiting.is_empty());
        if of_sessions > 2 && waits {
            return head;
        }
        head = grow(store, network, 50).await;
    }
}

pub fn refuses(fact: &Fact<'_>) -> bool {
    fact.recorded.event_id.as_bytes()[15].is_multiple_of(61)
}

fn refusal(fact: &Fact<'_>, model: Model) -> FoldError {
    FoldError::NoRow { position: fact.recorded.position, model, key: "refused".to_owned() }
}

/// The same, with a second version of one of them, which refuses others.
pub fn two_versions() -> Folds {
    refusing().with::<OtherSessions>()
}

struct OtherSessions;

impl ReadModel for OtherSessions {
    const MODEL: Model = Model::Sessions;
    const VERSION: u32 = 2;
    const RETENTION: &'static [Retention] = Sessions::RETENTION;
    type Row = SessionRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        Sessions::key(fact)
    }

    fn apply(row: Option<SessionRow>, fact: &Fact<'_>) -> Result<SessionRow, FoldError> {
        if fact.recorded.event_id.as_bytes()[14].is_multiple_of(83) {
            return Err(refusal(fact, Self::MODEL));
        }
        // It tells the time otherwise.
        let row = Sessions::apply(row, fact)?;
        Ok(SessionRow { recorded_at: fact.recorded.recorded_at, ..row })
    }

    fn complete(row: &mut SessionRow) {
        Sessions::complete(row);
    }
}

struct RefusingSessions;

impl ReadModel for RefusingSessions {
    const MODEL: Model = Model::Sessions;
    const VERSION: u32 = Sessions::VERSION;
    const RETENTION: &'static [Retention] = Sessions::RETENTION;
    type Row = SessionRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        Sessions::key(fact)
    }

    fn apply(row: Option<SessionRow>, fact: &Fact<'_>) -> Result<SessionRow, FoldError> {
        if refuses(fact) { Err(refusal(fact, Self::MODEL)) } else { Sessions::apply(row, fact) }
    }

    fn complete(row: &mut SessionRow) {
        Sessions::complete(row);
    }
}

struct RefusingChargePoints;

impl ReadModel for RefusingChargePoints {
    const MODEL: Model = Model::ChargePoints;
    const VERSION: u32 = ChargePoints::VERSION;
    const RETENTION: &'static [Retention] = ChargePoints::RETENTION;
    type Row = ChargePointRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        ChargePoints::key(fact)
    }

    fn apply(row: Option<ChargePointRow>, fact: &Fact<'_>) -> Result<ChargePointRow, FoldError> {
        if refuses(fact) { Err(refusal(fact, Self::MODEL)) } else { ChargePoints::apply(row, fact) }
    }
}
