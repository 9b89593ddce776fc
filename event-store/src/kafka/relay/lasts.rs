//! Of each partition of each topic of the log, the position of its last event: what `prev` is made of.

use schema::log::Position;
use schema::partition::PARTITION_COUNT;
use schema::topics::LogTopic;

const PARTITIONS: usize = PARTITION_COUNT as usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lasts([[Position; PARTITIONS]; LogTopic::ALL.len()]);

impl Lasts {
    pub const NONE: Self = Self([[Position::START; PARTITIONS]; LogTopic::ALL.len()]);

    const fn slot(topic: LogTopic) -> usize {
        match topic {
            LogTopic::Events => 0,
            LogTopic::StationCommands => 1,
        }
    }

    pub fn of(&self, topic: LogTopic) -> &[Position; PARTITIONS] {
        &self.0[Self::slot(topic)]
    }

    pub fn get(&self, topic: LogTopic, partition: u8) -> Position {
        self.0[Self::slot(topic)][usize::from(partition)]
    }

    /// Answers what was there before.
    pub fn replace(&mut self, topic: LogTopic, partition: u8, position: Position) -> Position {
        std::mem::replace(&mut self.0[Self::slot(topic)][usize::from(partition)], position)
    }

    pub fn numbers(&self, topic: LogTopic) -> Vec<i64> {
        self.of(topic).iter().map(|position| position.0).collect()
    }

    /// None: there are not as many as partitions.
    pub fn from_numbers(events: &[i64], station_commands: &[i64]) -> Option<Self> {
        let of = |numbers: &[i64]| -> Option<[Position; PARTITIONS]> {
            let numbers: [i64; PARTITIONS] = numbers.try_into().ok()?;
            Some(numbers.map(Position))
        };
        Some(Self([of(events)?, of(station_commands)?]))
    }
}
