//! What a consumer of this process has met, as numbers and as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the process began, of one topic.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct KafkaCounts {
    /// Records that were taken.
    pub taken: u64,
    /// Records that came twice, or after Postgres had been read in their place.
    pub known: u64,
    /// What was read from Postgres because Kafka had not brought it: positions of the log; of station commands, events.
    pub filled: u64,
    /// How often Postgres had to be read for that.
    pub fills: u64,
    /// Records that can't be decoded.
    pub undecodable: u64,
    /// Those of them that could not be kept: too many came at once.
    pub undecodable_lost: u64,
    /// Records of another generation than the log, or of a tail that it has lost.
    pub foreign: u64,
    /// Records that came too far ahead to be kept until their turn.
    pub no_room: u64,
    /// How often the consumer began.
    pub begun: u64,
}

impl KafkaCounts {
    /// Records of the log, of whatever use they were.
    pub fn heard(&self) -> u64 {
        self.taken + self.known + self.foreign + self.no_room
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Taken,
    Known,
    Filled,
    Fills,
    Undecodable,
    UndecodableLost,
    Foreign,
    NoRoom,
    Begun,
}

/// Counts and tells.
#[derive(Debug)]
pub(crate) struct Counters {
    topic: &'static str,
    counts: [AtomicU64; 9],
}

impl Counters {
    pub fn new(topic: &'static str) -> Self {
        Self { topic, counts: Default::default() }
    }

    pub fn topic(&self) -> &'static str {
        self.topic
    }

    pub fn add(&self, count: Count, by: u64) {
        if by == 0 {
            return;
        }
        self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
        let name = match count {
            Count::Taken => "coulomb_kafka_records_total",
            Count::Known => "coulomb_kafka_known_records_total",
            Count::Filled => "coulomb_kafka_filled_total",
            Count::Fills => "coulomb_kafka_fills_total",
            Count::Undecodable => "coulomb_kafka_undecodable_records_total",
            Count::UndecodableLost => "coulomb_kafka_undecodable_records_lost_total",
            Count::Foreign => "coulomb_kafka_foreign_records_total",
            Count::NoRoom => "coulomb_kafka_records_without_room_total",
            Count::Begun => "coulomb_kafka_consumer_starts_total",
        };
        metrics::counter!(name, "topic" => self.topic).increment(by);
    }

    /// How many positions Kafka is behind the head, as it was when the head was last looked at.
    pub fn lag(&self, positions: i64) {
        metrics::gauge!("coulomb_kafka_lag_positions", "topic" => self.topic).set(positions.max(0) as f64);
    }

    pub fn read(&self) -> KafkaCounts {
        let of = |count: Count| self.counts[count as usize].load(Ordering::Relaxed);
        KafkaCounts {
            taken: of(Count::Taken),
            known: of(Count::Known),
            filled: of(Count::Filled),
            fills: of(Count::Fills),
            undecodable: of(Count::Undecodable),
            undecodable_lost: of(Count::UndecodableLost),
            foreign: of(Count::Foreign),
            no_room: of(Count::NoRoom),
            begun: of(Count::Begun),
        }
    }
}
