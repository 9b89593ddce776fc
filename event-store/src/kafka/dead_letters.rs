//! Records that can't be decoded: kept for somebody to look at. What they should have said is read from Postgres.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::tail::{Count, Counters};

/// Records that wait to be kept; further ones are counted and dropped.
const WAITING_MAX: usize = 64;
/// Bytes of a value that are kept.
const VALUE_BYTES_MAX: usize = 1024 * 1024;

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

/// Where they are kept.
///
/// Each process that follows the topic meets the record: what is kept under (topic, partition, offset) is kept once.
#[async_trait]
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// Keeps one. A failure is the keeper's to log: the record stands in Kafka.
    async fn keep(&self, record: DeadRecord);
}

/// From the thread of a consumer to who keeps them.
#[derive(Clone)]
pub(crate) struct Letterbox {
    waiting: Option<mpsc::Sender<DeadRecord>>,
    counters: Arc<Counters>,
}

impl Letterbox {
    /// With nobody to keep them they are counted and logged.
    pub fn new(keeper: Option<Arc<dyn DeadLetters>>, counters: Arc<Counters>) -> Self {
        let waiting = keeper.map(|keeper| {
            let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
            tokio::spawn(async move {
                while let Some(record) = receiver.recv().await {
                    keeper.keep(record).await;
                }
            });
            sender
        });
        Self { waiting, counters }
    }

    pub fn put(&self, mut record: DeadRecord) {
        self.counters.add(Count::Undecodable, 1);
        if let Some(value) = &mut record.value {
            value.truncate(VALUE_BYTES_MAX);
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.try_send(record).is_err()) {
            self.counters.add(Count::UndecodableLost, 1);
        }
    }
}
