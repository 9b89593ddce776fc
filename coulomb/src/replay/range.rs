//! Which part of the history is meant, and whether it is there.

use std::str::FromStr;

use anyhow::bail;
use chrono::{DateTime, Utc};
use domain::envelope::Retention;
use event_store::EventStore;
use schema::log::Position;

use crate::command_database::CommandDatabase;

/// A place in the history as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Position(i64),
    Time(DateTime<Utc>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        match text.parse::<i64>() {
            Ok(position) if position > 0 => Ok(Self::Position(position)),
            _ => Err("write a position from 1, or a time such as 2026-03-01T10:00:00Z".to_owned()),
        }
    }
}

/// Events that are there, and all before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Of the last event before it.
    pub after: Position,
    /// Of its last event.
    pub upto: Position,
}

impl Range {
    /// # Errors
    /// When it has no events, or not all that lead up to it are kept.
    pub async fn find(database: &CommandDatabase, from: Place, to: Option<Place>) -> anyhow::Result<Self> {
        let store = database.store().await?;
        let (head, _) = store.head().await?;
        for (flag, place) in [("--from", Some(from)), ("--to", to)] {
            if let Some(Place::Position(position)) = place
                && position > head.0
            {
                bail!("{flag} {position} does not exist yet: the log ends at position {head}; choose one up to there");
            }
        }
        let after = match from {
            Place::Position(position) => Position(position - 1),
            Place::Time(time) => store.last_before(time).await?,
        };
        let upto = match to {
            Some(Place::Position(position)) => Position(position),
            Some(Place::Time(time)) => store.position_at(time).await?,
            None => head,
        };
        if after >= upto {
            bail!("{}", Self::empty(&store, after, head).await?);
        }
        let kept = store.in_log_after(&[Retention::Ledger, Retention::Operational, Retention::Telemetry]).await?;
        if kept > Position::START {
            bail!(
                "events up to position {kept} were archived and are not in the database any more. A replay needs all from \
                 the first one on: bring them back first, or look back with `coulomb projections as-of`"
            );
        }
        Ok(Self { after, upto })
    }

    async fn empty(store: &EventStore, after: Position, head: Position) -> anyhow::Result<String> {
        let ends = match store.recorded_at(head).await? {
            Some(time) => format!("the log ends at position {head}, recorded at {}", time.to_rfc3339()),
            None => "the log has no events".to_owned(),
        };
        Ok(if after >= head {
            format!("nothing was recorded at --from or after it: {ends}; choose an earlier --from")
        } else {
            format!(
                "there is no event from --from to --to: the first one from there on is at position {}; {ends}",
                after.0 + 1
            )
        })
    }

    pub fn events(&self) -> i64 {
        self.upto.0 - self.after.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_positions_or_times() {
        assert_eq!("7".parse(), Ok(Place::Position(7)));
        let time = "2026-03-01T09:00:00Z".parse().expect("a time");
        assert_eq!("2026-03-01T10:00:00+01:00".parse(), Ok(Place::Time(time)));
        for text in ["", "0", "-1", "2026-03-01", "soon", "1.5"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
