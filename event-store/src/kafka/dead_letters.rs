//! Records that can't be decoded: kept for somebody to look at. What they should have said is read from Postgres.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::tail::{Count, Counters};

/// Records that wait to be kept; further ones are counted and dropped.
const WAITING_MAX: usize = 1_024;
/// Bytes of their values; the same.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a value that are kept.
const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Where one can't be kept now: consumers begin at the ends, so that nobody meets it again.
const AGAIN_AFTER_MIN: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);
/// For how long what waits is tried again when nobody consumes any more.
const FAREWELL: Duration = Duration::from_secs(60);

/// A record as it stands in Kafka, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Of a longer one, the first MiB.
    pub value: Option<Vec<u8>>,
    /// In words.
    pub error: String,
}

/// What became of a record that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is kept, or never will be, which the keeper has told of.
    Done,
    /// Whoever keeps it can't be reached: it is to be brought again.
    Later,
}

/// Where they are kept.
///
/// Each process that follows the topic meets the record: what is kept under (topic, partition, offset) is kept once.
#[async_trait]
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// Keeps one. A failure is the keeper's to log.
    async fn keep(&self, record: &DeadRecord) -> Keeping;
}

/// From the thread of a consumer to who keeps them.
#[derive(Clone)]
pub(crate) struct Letterbox {
    waiting: Option<mpsc::Sender<DeadRecord>>,
    /// Of the values of those that wait.
    bytes: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Letterbox {
    /// With nobody to keep them they are counted and logged.
    pub fn new(keeper: Option<Arc<dyn DeadLetters>>, counters: Arc<Counters>) -> Self {
        let bytes = Arc::<AtomicUsize>::default();
        let waiting = keeper.map(|keeper| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            tokio::spawn(deliver(receiver, keeper, Arc::clone(&bytes), Arc::clone(&counters)));
            sender
        });
        Self { waiting, bytes, counters }
    }

    pub fn put(&self, mut record: DeadRecord) {
        self.counters.add(Count::Undecodable, 1);
        if let Some(value) = &mut record.value {
            value.truncate(VALUE_BYTES_MAX);
        }
        let Some(waiting) = &self.waiting else { return };
        let bytes = bytes_of(&record);
        let fits = self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes <= WAITING_BYTES_MAX;
        if !fits || waiting.try_send(record).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.counters.add(Count::UndecodableLost, 1);
        }
    }
}

fn bytes_of(record: &DeadRecord) -> usize {
    record.value.as_ref().map_or(0, Vec::len)
}

/// One after the other; one that can't be kept now is brought until it can be.
async fn deliver(
    mut waiting: mpsc::Receiver<DeadRecord>,
    keeper: Arc<dyn DeadLetters>,
    bytes: Arc<AtomicUsize>,
    counters: Arc<Counters>,
) {
    let mut alone_since = None;
    while let Some(record) = waiting.recv().await {
        let mut pause = AGAIN_AFTER_MIN;
        while keeper.keep(&record).await == Keeping::Later {
            if waiting.is_closed() && alone_since.get_or_insert_with(Instant::now).elapsed() > FAREWELL {
                counters.add(Count::UndecodableLost, 1 + waiting.len() as u64);
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
        }
        bytes.fetch_sub(bytes_of(&record), Ordering::AcqRel);
    }
}
