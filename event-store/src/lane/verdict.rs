//! What `log_append` decided, for each append of the batch.

use chrono::{DateTime, Utc};
use schema::log::{Generation, Position};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::append::{Append, Appended, Error, Expected, GuardCondition, Write};
use crate::lane::order;

/// The row that the function answers.
pub(super) struct Verdicts {
    /// The head before the batch.
    pub base: Position,
    pub generation: Generation,
    pub recorded_at: DateTime<Utc>,
    refused: Vec<i32>,
    found: Vec<Found>,
    present_version: Vec<i64>,
    present_fence: Vec<i64>,
    guarded_version: Vec<i64>,
    guarded_fence: Vec<i64>,
}

struct Found {
    append: i32,
    same_body: bool,
    answer: String,
    position: i64,
}

impl Verdicts {
    pub fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let list =
            |column: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<Vec<i64>>, _>(column)?.unwrap_or_default());
        let appends: Vec<i32> = row.try_get::<Option<_>, _>(4)?.unwrap_or_default();
        let same: Vec<bool> = row.try_get::<Option<_>, _>(5)?.unwrap_or_default();
        let answers: Vec<String> = row.try_get::<Option<_>, _>(6)?.unwrap_or_default();
        let found = appends.into_iter().zip(same).zip(answers).zip(list(7)?);
        Ok(Self {
            base: Position(row.try_get(0)?),
            generation: Generation(row.try_get(1)?),
            recorded_at: row.try_get(2)?,
            refused: row.try_get::<Option<_>, _>(3)?.unwrap_or_default(),
            found: found
                .map(|(((append, same_body), answer), position)| Found { append, same_body, answer, position })
                .collect(),
            present_version: list(8)?,
            present_fence: list(9)?,
            guarded_version: list(10)?,
            guarded_fence: list(11)?,
        })
    }

    /// The outcome of each append, in the order of the batch.
    pub fn outcomes<'a>(&self, appends: impl Iterator<Item = &'a Append> + Clone) -> Vec<Result<Appended, Error>> {
        // The function was told of the writes in the order of their locks.
        let decided = !self.present_version.is_empty();
        let places = if decided { order::places(appends.clone()) } else { vec![] };
        let (mut writes, mut guards) = (0, 0);
        let mut position = self.base;
        let outcomes = (1..).zip(appends).map(|(nth, append)| {
            let first_guard = guards;
            let places = places.get(writes..writes + append.writes.len()).unwrap_or_default();
            writes += append.writes.len();
            guards += append.guards.len();
            if let Some(found) = self.found.iter().find(|found| found.append == nth) {
                return found.outcome();
            }
            if self.refused.contains(&nth) {
                return Err(self.refusal(append, places, first_guard));
            }
            position.0 += append.event_count() as i64;
            let written = append.writes.iter().enumerate();
            Ok(Appended::Committed {
                position,
                generation: self.generation,
                versions: written
                    .map(|(n, write)| self.before(places.get(n), write) + write.events.len() as i64)
                    .collect(),
                recorded_at: self.recorded_at,
            })
        });
        outcomes.collect()
    }

    /// The version before a write that was taken.
    fn before(&self, place: Option<&usize>, write: &Write) -> i64 {
        match (place.and_then(|&place| self.present_version.get(place)), write.expected) {
            (Some(&present), _) => present,
            (None, Expected::Version(version)) => version,
            // The function looks whenever a write expects nothing.
            (None, Expected::New | Expected::Any) => 0,
        }
    }

    /// Why it was refused: a lost fence before a lost version, since its owner must stop and not try again.
    fn refusal(&self, append: &Append, places: &[usize], first_guard: usize) -> Error {
        let mut conflict = None;
        for (n, guard) in append.guards.iter().enumerate() {
            let nth = first_guard + n;
            let (Some(&version), Some(&fence)) = (self.guarded_version.get(nth), self.guarded_fence.get(nth)) else {
                break;
            };
            match guard.condition {
                GuardCondition::Fence(epoch) if epoch.0 != fence => return Error::Fenced { stream: guard.stream },
                GuardCondition::Version(expected) if expected != version => {
                    let expected = Expected::version(expected);
                    conflict.get_or_insert(Error::Conflict { stream: guard.stream, expected, actual: version });
                }
                GuardCondition::Fence(_) | GuardCondition::Version(_) => {}
            }
        }
        for (write, &place) in append.writes.iter().zip(places) {
            let (Some(&version), Some(&fence)) = (self.present_version.get(place), self.present_fence.get(place))
            else {
                break;
            };
            if write.fence.is_some_and(|epoch| epoch.0 <= fence) {
                return Error::Fenced { stream: write.stream };
            }
            let met = match write.expected {
                Expected::New => version == 0,
                Expected::Version(expected) => version == expected,
                Expected::Any => true,
            };
            if !met {
                let (stream, expected) = (write.stream, write.expected);
                conflict.get_or_insert(Error::Conflict { stream, expected, actual: version });
            }
        }
        conflict.unwrap_or(Error::Invalid("it was refused for no reason that can be told"))
    }
}

impl Found {
    fn outcome(&self) -> Result<Appended, Error> {
        if !self.same_body {
            return Err(Error::KeyReused);
        }
        let answer = serde_json::from_str(&self.answer).map_err(|_| Error::Invalid("the stored answer is not JSON"))?;
        Ok(Appended::Replayed { answer, position: Position(self.position) })
    }
}
