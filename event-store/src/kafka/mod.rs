//! The log in Kafka: the relay that writes it there, and what it is reached by (docs/decisions/0010).

mod asking;
mod commands;
mod context;
pub(crate) mod dead_letters;
pub mod options;
pub mod relay;
mod tail;
pub mod topics;

// Every program with librdkafka in it needs it.
use rdkafka_mended as _;

pub(crate) use commands::CommandFeed;
pub use dead_letters::{DeadLetters, DeadRecord, Keeping};
pub use options::KafkaOptions;
pub use relay::{Doing, Relay, RelayOptions, RelayState};
pub use tail::KafkaCounts;
pub(crate) use tail::{Counters, run as run_tail};
