//! What is done to a read model beside keeping it up: another build takes its place, a key that was parked goes on.
//!
//! These are events of the log, since rows change by them that subscribers must be told of. A read model is called by
//! the name of its table.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::refusal::Refusal;

/// What is done to a read model beside keeping it up: another build takes its place, a key that was parked goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadModelEvent {
    /// `to_build` serves from this event's position on.
    ReadModelSwapped {
        /// The name of its table.
        model: String,
        /// The number of the build that served until now.
        from_build: u32,
        /// The number of the build that serves now.
        to_build: u32,
    },
    /// `to_build`, which served before, does so again from this event's position on.
    ReadModelRolledBack {
        /// The name of its table.
        model: String,
        /// The number of the build that served until now.
        from_build: u32,
        /// The number of the build that serves now.
        to_build: u32,
    },
    /// The swap or roll-back of the same builds before this did not take place: `from_build` went on serving.
    ReadModelSwapAbandoned {
        /// The name of its table.
        model: String,
        /// The number of the build that went on serving.
        from_build: u32,
        /// The number of the build that was to serve.
        to_build: u32,
    },
    /// What is parked of the key is folded again, in order. The event's partition key is the parked key.
    ParkedKeyReleased {
        /// The name of its table.
        model: String,
        /// The key that was parked.
        partition_key: Uuid,
    },
    /// The parked event at `position` is left out of the read model, and what follows it is folded. The event's partition
    /// key is the parked key.
    ParkedEventSkipped {
        /// The name of its table.
        model: String,
        /// The key that was parked.
        partition_key: Uuid,
        /// The position of the event that is left out.
        position: i64,
    },
}

event_names!(ReadModelEvent {
    ReadModelSwapped => "1",
    ReadModelRolledBack => "1",
    ReadModelSwapAbandoned => "1",
    ParkedKeyReleased => "1",
    ParkedEventSkipped => "1",
});

impl ReadModelEvent {
    /// The read model that it is about.
    pub fn model(&self) -> &str {
        match self {
            Self::ReadModelSwapped { model, .. }
            | Self::ReadModelRolledBack { model, .. }
            | Self::ReadModelSwapAbandoned { model, .. }
            | Self::ParkedKeyReleased { model, .. }
            | Self::ParkedEventSkipped { model, .. } => model,
        }
    }
}

#[derive(Debug, Clone)]
pub enum ReadModelCommand {
    Swap {
        model: String,
        from_build: u32,
        to_build: u32,
    },
    RollBack {
        model: String,
        from_build: u32,
        to_build: u32,
    },
    /// The last swap or roll-back did not take place.
    Abandon {
        model: String,
        from_build: u32,
        to_build: u32,
    },
    Release {
        model: String,
        partition_key: Uuid,
    },
    Skip {
        model: String,
        partition_key: Uuid,
        position: i64,
    },
}

/// The last exchange of builds, as the log tells it. Which builds there are is not its matter.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadModel {
    /// The build that serves; none before the first exchange.
    pub live: Option<u32>,
    /// The one that served before it, as long as the exchange may be abandoned.
    pub before: Option<u32>,
}

impl ReadModel {
    /// The stream of a read model's exchanges.
    pub fn stream_id(model: &str) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("coulomb read model {model}").as_bytes())
    }

    /// The stream of what is done to one key of a read model: a stream of its own, since its events are of the key's
    /// partition.
    pub fn key_stream_id(model: &str, partition_key: Uuid) -> Uuid {
        Uuid::new_v5(&Self::stream_id(model), partition_key.as_bytes())
    }

    fn check_exchange(&self, from_build: u32, to_build: u32) -> Result<(), Refusal> {
        if from_build == to_build {
            return Err(Refusal::invalid("to_build", "must be another build than the one that serves"));
        }
        match self.live {
            Some(live) if live != from_build => {
                Err(Refusal::invalid("from_build", format!("is {from_build}, but build {live} serves")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn apply_event(&mut self, event: ReadModelEvent) {
        match event {
            ReadModelEvent::ReadModelSwapped { from_build, to_build, .. }
            | ReadModelEvent::ReadModelRolledBack { from_build, to_build, .. } => {
                *self = Self { live: Some(to_build), before: Some(from_build) };
            }
            ReadModelEvent::ReadModelSwapAbandoned { from_build, .. } => {
                *self = Self { live: Some(from_build), before: None };
            }
            ReadModelEvent::ParkedKeyReleased { .. } | ReadModelEvent::ParkedEventSkipped { .. } => {}
        }
    }
}

impl Decide for ReadModel {
    const AGGREGATE: AggregateType = AggregateType::ReadModel;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: ReadModelCommand) -> Result<Vec<ReadModelEvent>, Refusal> {
        let event = match command {
            ReadModelCommand::Swap { model, from_build, to_build } => {
                self.check_exchange(from_build, to_build)?;
                ReadModelEvent::ReadModelSwapped { model, from_build, to_build }
            }
            ReadModelCommand::RollBack { model, from_build, to_build } => {
                self.check_exchange(from_build, to_build)?;
                ReadModelEvent::ReadModelRolledBack { model, from_build, to_build }
            }
            ReadModelCommand::Abandon { model, from_build, to_build } => {
                if (self.before, self.live) != (Some(from_build), Some(to_build)) {
                    return Ok(vec![]);
                }
                ReadModelEvent::ReadModelSwapAbandoned { model, from_build, to_build }
            }
            ReadModelCommand::Release { model, partition_key } => {
                ReadModelEvent::ParkedKeyReleased { model, partition_key }
            }
            ReadModelCommand::Skip { model, partition_key, position } => {
                if position < 1 {
                    return Err(Refusal::invalid("position", "must be that of an event, 1 or above"));
                }
                ReadModelEvent::ParkedEventSkipped { model, partition_key, position }
            }
        };
        Ok(vec![event])
    }
}

aggregate!(ReadModel, ReadModelCommand, ReadModelEvent, ReadModel);
