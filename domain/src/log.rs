//! What the log says of itself: that a history ended and another began, and which positions lost their events.
//!
//! Both are appended by the log's own functions and not by a command of a person, since nobody may append anything while
//! it is not known what was lost.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::refusal::Refusal;

/// Why a generation of the log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationReason {
    /// A replica became the primary, or a backup was recovered to a point in time: Postgres has another timeline.
    Promoted,
    /// The log came into another cluster of Postgres: a dump was restored, or the server was upgraded.
    Moved,
    /// The log ended before a position that it had given out: a backup was copied back.
    WentBack,
    /// An operator said so.
    Operator,
}

impl GenerationReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Moved => "moved",
            Self::WentBack => "went_back",
            Self::Operator => "operator",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Promoted, Self::Moved, Self::WentBack, Self::Operator].into_iter().find(|why| why.as_str() == word)
    }
}

/// What the log says of itself. No person, charger or site is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogEvent {
    /// From this event on the log is of another generation. Up to `shared_upto` its history is that of the one before;
    /// what somebody has read above it in a former generation may not be part of it, and what it has there is to be read
    /// again.
    GenerationBegan {
        /// The number of the generation that began.
        generation: i64,
        /// Why it began: `promoted`, a replica became the primary; `moved`, the log came into another cluster of Postgres;
        /// `went_back`, it ended before a position that it had given out; `operator`, somebody said so.
        reason: GenerationReason,
        /// The last position up to which its events are certainly those of the generation before.
        shared_upto: i64,
        /// The first position whose event was lost; null: none was, as far as is known.
        lost_from: Option<i64>,
        /// The last one; null: none was.
        lost_upto: Option<i64>,
    },
    /// The event that had this position is lost. This one is in its place, so that no position is missing and none is
    /// given out twice.
    PositionLost {
        /// The number of the generation that began with the loss.
        generation: i64,
        /// The first position that was lost with this one.
        lost_from: i64,
        /// The last one.
        lost_upto: i64,
    },
}

event_names!(LogEvent { GenerationBegan => "1", PositionLost => "1" });

#[derive(Debug, Clone)]
pub enum LogCommand {
    /// The positions of `lost`, first and last, have no events any more.
    Begin { generation: i64, reason: GenerationReason, shared_upto: i64, lost: Option<(i64, i64)> },
    /// One position is filled.
    Fill { generation: i64, lost: (i64, i64) },
}

/// The generation that the log has come to, as far as it tells.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// None: that with which it began.
    pub generation: Option<i64>,
}

impl Log {
    /// Of its one stream, whose events are all of the partition of this key.
    pub fn stream_id() -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, b"coulomb log")
    }

    fn apply_event(&mut self, event: LogEvent) {
        match event {
            LogEvent::GenerationBegan { generation, .. } => self.generation = Some(generation),
            LogEvent::PositionLost { .. } => {}
        }
    }
}

impl Decide for Log {
    const AGGREGATE: AggregateType = AggregateType::Log;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: LogCommand) -> Result<Vec<LogEvent>, Refusal> {
        let later = |generation: i64| match self.generation {
            Some(present) if generation <= present => {
                Err(Refusal::invalid("generation", format!("must be above {present}, which the log has come to")))
            }
            _ if generation < 2 => Err(Refusal::invalid("generation", "must be 2 or above: the log began with 1")),
            Some(_) | None => Ok(()),
        };
        let in_order = |(first, last): (i64, i64)| match 0 < first && first <= last {
            true => Ok(()),
            false => Err(Refusal::invalid("lost_upto", "must be lost_from, above 0, or after it")),
        };
        let event = match command {
            LogCommand::Begin { generation, reason, shared_upto, lost } => {
                later(generation)?;
                lost.map_or(Ok(()), in_order)?;
                if lost.is_some_and(|(first, _)| shared_upto >= first) {
                    return Err(Refusal::invalid("shared_upto", "must be before lost_from"));
                }
                let (lost_from, lost_upto) = lost.unzip();
                LogEvent::GenerationBegan { generation, reason, shared_upto, lost_from, lost_upto }
            }
            LogCommand::Fill { generation, lost } => {
                later(generation)?;
                in_order(lost)?;
                LogEvent::PositionLost { generation, lost_from: lost.0, lost_upto: lost.1 }
            }
        };
        Ok(vec![event])
    }
}

aggregate!(Log, LogCommand, LogEvent, Log);
