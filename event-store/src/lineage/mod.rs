//! Whether the log that the server holds is the one that was there before, and what is done when it is not.
//!
//! A replica that was promoted, a backup or a dump may lack the last events, which consumers, phones and Kafka have. While
//! that is not known, `log_append` takes nothing (migration 0580). Where nobody else keeps the log, a new generation begins
//! at once: what belongs to the former one rewinds or takes a snapshot. Where a relay has put the log into Kafka, its leader
//! compares what is there ([`settle`]): if nothing was lost a new generation begins as well; else the log is halted until an
//! operator recovers it ([`Recovery`]).

mod begin;
mod compare;
mod era;
mod generations;
mod identity;
mod look;
mod own;
mod recover;
mod watcher;

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::log::GenerationReason;
use schema::log::{Generation, Position};
use sqlx::Row;
use tokio::sync::watch;

use crate::EventStore;

pub(crate) use compare::Ends;
pub use compare::{Comparison, ForeignTopic, KafkaTail, Loss, compare, halt_if_lost, settle};
pub(crate) use era::Era;
pub use generations::Began;
pub(crate) use identity::Identity;
pub use recover::{LOST_MAX, Recovery, RecoveryError, Step};
pub(crate) use watcher::{run, start};

/// Who begins a generation when the log can't go on as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Successor {
    /// Whoever notices first: nobody else keeps the log. Where a relay has published it, that is asked all the same.
    #[default]
    Anybody,
    /// The leader of the relay, who knows what is in Kafka.
    Relay,
    /// Not this process: it looks on.
    Nobody,
}

/// What is known of the log's lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Appends are taken.
    Open { generation: Generation },
    /// Nothing is taken, until it is known whether something was lost. Passes by itself.
    Unsure { reason: GenerationReason, head: Position },
    /// Nothing is taken: something was lost, and an operator is to say what becomes of it.
    Halted(Halt),
    /// Lost positions are being filled. If that was cut off, an operator carries it on.
    Filling { position: Position, upto: Position },
}

/// Others have what the log lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    pub generation: Generation,
    pub reason: GenerationReason,
    /// The end of the log.
    pub head: Position,
    /// Up to here the log certainly has what others have.
    pub shared_upto: Position,
    /// Others have events up to here; none: that is not known yet.
    pub lost_upto: Option<Position>,
    pub noticed_at: DateTime<Utc>,
}

impl State {
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Positions that others have and the log has not, as far as is known.
    pub fn lost_positions(&self) -> i64 {
        match self {
            Self::Halted(halt) => halt.lost_upto.map_or(0, |upto| (upto.0 - halt.head.0).max(0)),
            Self::Filling { position, upto } => (upto.0 - position.0).max(0),
            Self::Open { .. } | Self::Unsure { .. } => 0,
        }
    }
}

/// For an operator: what is the matter, and what to type.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { generation } => write!(f, "generation {} is appended to", generation.0),
            Self::Unsure { reason, head } => write!(
                f,
                "nothing is appended, since {} at position {head}, until the relay has compared the log with Kafka. If there \
                 is no relay or no Kafka any more: with KAFKA_BROKERS unset, coulomb log recover --upto POSITION, the highest \
                 that anybody has seen: the metric coulomb_log_head_position, the old primary's disk, exports, phones' upto. \
                 {head}, where the log ends now, only if surely nothing was lost: what is above it would be given out again",
                because(*reason)
            ),
            Self::Halted(halt) => halt.fmt(f),
            Self::Filling { position, upto } => write!(
                f,
                "nothing is appended while lost positions are filled: {position} of {upto}. If nobody is at it: coulomb log \
                 recover --yes"
            ),
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.noticed_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (head, because) = (self.head, because(self.reason));
        match self.lost_upto {
            Some(upto) if upto > head => write!(
                f,
                "nothing is appended since {at}: {because} and lacks positions {} to {upto}, {} events that Kafka has. Type: \
                 coulomb log recover",
                head.0 + 1,
                upto.0 - head.0
            ),
            _ => write!(
                f,
                "nothing is appended since {at}: {because}, and its events after position {} are others than Kafka has. \
                 Type: coulomb log recover",
                self.shared_upto
            ),
        }
    }
}

fn because(reason: GenerationReason) -> &'static str {
    match reason {
        GenerationReason::Promoted => "the log is on a server that was promoted or recovered",
        GenerationReason::Moved => "the log is in another cluster of Postgres",
        GenerationReason::WentBack => "the log ends before where it has been",
        GenerationReason::Operator => "an operator has halted the log",
    }
}

impl EventStore {
    /// Whether the log takes appends, as this process knows it; a second old at most.
    pub fn lineage(&self) -> watch::Receiver<State> {
        self.era().state()
    }

    /// The same, asked now.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn lineage_now(&self) -> Result<State, sqlx::Error> {
        Ok(look::Look::at(self).await?.state())
    }

    /// Up to which position what was read in a generation is part of the log; none: all of it is. A consumer that has gone
    /// further goes back to there, and reads on.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn shared_upto(&self, generation: Generation) -> Result<Option<Position>, sqlx::Error> {
        let statement =
            sqlx::query("SELECT min(shared_upto) FROM log_generations WHERE number > $1").bind(generation.0);
        let rows = self.database().fetch_all(statement).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get::<Option<i64>, _>(0)?.map(Position))
    }

    /// Where to go on who has read up to a position in a generation.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn rewound(&self, generation: Generation, position: Position) -> Result<Position, sqlx::Error> {
        Ok(self.shared_upto(generation).await?.map_or(position, |shared| shared.min(position)))
    }
}
