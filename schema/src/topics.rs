//! The Kafka topics: their names, their shapes, and what stands in which.

use std::fmt;

use crate::partition::PARTITION_COUNT;

/// What topics are called by when nothing else is said.
pub const DEFAULT_PREFIX: &str = "coulomb";
/// Kafka takes names of topics up to 249 characters.
const PREFIX_CHARS_MAX: usize = 200;
/// The largest record: a payload of 512 KiB that is told twice, escaped, with its envelope.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The topics of one log, which share a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't begin the names of topics: one to {PREFIX_CHARS_MAX} of the letters a to z, A to Z, digits, `.`, `_` and `-` can"
)]
pub struct PrefixError(String);

/// A topic of the log: what stands in it is told by the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogTopic {
    /// All events.
    Events,
    /// The events that edges follow.
    StationCommands,
}

impl LogTopic {
    pub const ALL: [Self; 2] = [Self::Events, Self::StationCommands];

    /// What follows the prefix in its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::StationCommands => "station-commands",
        }
    }

    /// Whether an event stands in it. By the stored type alone, so that it is the same for every version of the program.
    pub fn holds(self, event_type: &str) -> bool {
        match self {
            Self::Events => true,
            Self::StationCommands => STATION_COMMANDS.contains(&event_type),
        }
    }

    /// Partitions.
    pub const fn partitions(self) -> i32 {
        PARTITION_COUNT as i32
    }
}

impl fmt::Display for LogTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The types of events in `station-commands`. A type can be added, and is in the topic from then on; none is taken away while
/// an edge of a version runs that follows it.
pub const STATION_COMMANDS: [&str; 3] = ["StationCommandRequested", "ChargePointConnected", "ChargePointDisconnected"];

/// Partitions of the topic of dead letters: they have no order.
pub const DEAD_LETTER_PARTITIONS: i32 = 1;

impl Topics {
    /// # Errors
    /// When Kafka would not take names that begin so.
    pub fn new(prefix: impl Into<String>) -> Result<Self, PrefixError> {
        let prefix = prefix.into();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(legal) {
            return Err(PrefixError(prefix));
        }
        Ok(Self { prefix })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn of(&self, topic: LogTopic) -> String {
        format!("{}.{topic}", self.prefix)
    }

    pub fn events(&self) -> String {
        self.of(LogTopic::Events)
    }

    pub fn station_commands(&self) -> String {
        self.of(LogTopic::StationCommands)
    }

    pub fn dead_letters(&self) -> String {
        format!("{}.dead-letters", self.prefix)
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns;

    #[test]
    fn names_are_prefix_and_topic() {
        let topics = Topics::default();
        assert_eq!(
            [topics.events(), topics.station_commands(), topics.dead_letters()],
            ["coulomb.events", "coulomb.station-commands", "coulomb.dead-letters"]
        );
    }

    #[test]
    fn a_prefix_is_what_kafka_takes() {
        for bad in ["", "a b", "ü", "a/b", &"x".repeat(201)] {
            assert_eq!(Topics::new(bad), Err(PrefixError(bad.to_owned())));
        }
        assert_eq!(Topics::new("my-network_2.test").expect("legal").events(), "my-network_2.test.events");
    }

    #[test]
    fn what_edges_follow_is_in_the_catalogue() {
        for event_type in STATION_COMMANDS {
            assert!(columns::table(event_type).is_some(), "{event_type}");
            assert!(LogTopic::StationCommands.holds(event_type));
        }
        assert!(!LogTopic::StationCommands.holds("MeterValuesRecorded"));
        assert!(LogTopic::Events.holds("of a newer program"));
    }
}
