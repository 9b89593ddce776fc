//! What a relay says of itself.

use std::time::Instant;

use schema::log::Position;
use schema::topics::RECORD_BYTES_MAX;

use crate::kafka::topics;
use crate::lineage::{ForeignTopic, Loss};

#[derive(Debug, Clone)]
pub struct RelayState {
    pub doing: Doing,
    /// Everything up to here is acknowledged by Kafka, as far as this process knows.
    pub relayed: Position,
    /// The end of the log when it was last looked at.
    pub head: Position,
}

#[derive(Debug, Clone)]
pub enum Doing {
    /// Another relay leads; or this one is about to.
    Standby,
    Leading,
    /// Kafka acknowledges nothing. The log goes on; what is relayed does not.
    KafkaDown {
        since: Instant,
        why: String,
    },
    /// Nothing is written until somebody has mended what is wrong. It is looked at again every few seconds.
    Stopped {
        why: Stopped,
    },
}

/// What a relay can't mend by itself.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Stopped {
    /// The sentences of [`topics::Error::Differ`] and its like.
    #[error("{0}")]
    Topics(String),
    /// Postgres was restored, or promoted without its last commits. Nothing is appended either, until it is recovered.
    #[error(
        "Kafka has events up to position {} and the log, of generation {}, ends at {}: commits are lost. `coulomb log recover` \
         says which, and how to go on",
        .0.lost_upto, .0.generation.0, .0.head
    )]
    LostTail(Loss),
    #[error("Kafka has other events than the log after position {}: `coulomb log recover` says which, and how to go on", .0.shared_upto)]
    OtherHistory(Loss),
    /// The settings lead to what belongs to another log, for which this one is not halted.
    #[error("Kafka gets nothing, for which the log is not halted: {0}")]
    Foreign(ForeignTopic),
    #[error(
        "Kafka refuses a record of the topic {topic} as too large, and none after it can be written: let it take {RECORD_BYTES_MAX} \
         bytes with `kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config \
         max.message.bytes={RECORD_BYTES_MAX}`"
    )]
    TooLarge { topic: String },
}

impl RelayState {
    pub(super) fn new() -> Self {
        Self { doing: Doing::Standby, relayed: Position::START, head: Position::START }
    }

    /// Positions that are in the log and not yet in Kafka.
    pub fn lag(&self) -> i64 {
        (self.head.0 - self.relayed.0).max(0)
    }
}

impl Doing {
    pub fn is_standby(&self) -> bool {
        matches!(self, Self::Standby)
    }

    pub fn is_leading(&self) -> bool {
        matches!(self, Self::Leading)
    }

    pub fn is_kafka_down(&self) -> bool {
        matches!(self, Self::KafkaDown { .. })
    }

    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }
}

impl From<&topics::Error> for Option<Stopped> {
    /// None: it may pass by itself.
    fn from(error: &topics::Error) -> Self {
        match error {
            topics::Error::Options(_) | topics::Error::Differ(_) | topics::Error::NotMade { .. } => {
                Some(Stopped::Topics(with_causes(error)))
            }
            topics::Error::Unreachable { .. } | topics::Error::FewBrokers { .. } => None,
        }
    }
}

/// An error with what caused it, as one sentence.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
