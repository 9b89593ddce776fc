//! What can be set, and the limits on everything that waits.

use std::sync::Arc;
use std::time::Duration;

use crate::archived::Archive;
use crate::kafka::{DeadLetters, KafkaOptions};
use crate::lineage::Successor;

#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How many flushes may be under way at once, each on a connection of its own: they get ready while another one
    /// commits.
    pub flushes_max: usize,
    /// Appends in one flush. Of 256 writers, two flushes of 128 in turn commit a quarter more than one of 256, which has
    /// nothing beside it that gets ready.
    pub flush_appends_max: usize,
    /// Events in one flush, above the first append.
    pub flush_events_max: usize,
    /// Bytes in one flush, above the first append.
    pub flush_bytes_max: usize,
    /// Appends that wait for a flush; further callers wait for a place.
    pub queue_appends_max: usize,
    /// Bytes that wait for a flush.
    pub queue_bytes_max: usize,
    /// How long one flush may take before its connection is given up.
    pub flush_timeout: Duration,
    /// For how long a flush that can't be made is tried again, before its callers are told.
    pub retry_for: Duration,
    /// Positions in a range. Ranges are tables: a network of 10,000 events/s makes one in a quarter of an hour.
    pub range_positions: i64,
    /// Ranges that are kept ready.
    pub ranges_ahead: i32,
    /// Aggregate states kept in memory.
    pub cache_states_max: usize,
    /// A state is stored when it has grown by so many events since it was last.
    pub store_state_every_events: i64,
    /// Recent events kept for followers, and the bytes of their payloads and metadata, of which the newest is kept in any case.
    /// Who is further behind reads Postgres.
    pub tail_events_max: usize,
    pub tail_bytes_max: usize,
    /// Without a notice, how often the head is looked at. With Kafka: what it has not brought within this time is read from
    /// Postgres.
    pub poll_every: Duration,
    /// Where followers learn of the log; none: from Postgres.
    pub kafka: Option<KafkaOptions>,
    /// Who keeps the records of Kafka that can't be decoded; none: the table `dead_letters`.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Where notices of other processes come from, for those who follow Postgres.
    pub wake: Wake,
    /// Whether other processes are to be noticed of appends.
    pub notify: bool,
    /// Who begins a generation of the log when the server that holds it was promoted or restored.
    pub successor: Successor,
    /// Where ranges are read that were moved out of the log; none: what needs them fails.
    pub archive: Option<Arc<dyn Archive>>,
}

/// How a process learns that another one has appended.
#[derive(Debug, Clone, Default)]
pub enum Wake {
    /// LISTEN, on a connection of its own. Where the pool knows no direct way to the database: polling.
    #[default]
    Listen,
    /// By polling alone.
    Poll,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            flushes_max: 3,
            flush_appends_max: 128,
            flush_events_max: 512,
            flush_bytes_max: 4 * 1024 * 1024,
            queue_appends_max: 8 * 1024,
            queue_bytes_max: 64 * 1024 * 1024,
            flush_timeout: Duration::from_secs(15),
            retry_for: Duration::from_secs(5),
            range_positions: 10_000_000,
            ranges_ahead: 2,
            cache_states_max: 100_000,
            store_state_every_events: 100,
            tail_events_max: 16 * 1024,
            tail_bytes_max: 64 * 1024 * 1024,
            poll_every: Duration::from_millis(500),
            kafka: None,
            dead_letters: None,
            wake: Wake::default(),
            notify: true,
            successor: Successor::default(),
            archive: None,
        }
    }
}
