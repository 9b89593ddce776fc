//! A consumer beside the platform's own, by which it is seen what the way through Kafka is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use event_store::kafka::KafkaOptions;
use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use schema::partition::PARTITION_COUNT;
use serde::Deserialize;

const POLL: Duration = Duration::from_millis(50);

/// In microseconds; of producing, Kafka keeps whole milliseconds.
pub struct Probed {
    /// From the time that the log gave the event to that of its record.
    pub produced: Histogram<u64>,
    /// From there until a consumer has it.
    pub consumed: Histogram<u64>,
}

pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probed>,
}

#[derive(Deserialize)]
struct Line {
    recorded_at: DateTime<Utc>,
}

impl Probe {
    /// From the ends of the partitions on. What comes before a time has passed does not count.
    pub fn start(options: &KafkaOptions, warm_up: Duration) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut config = options.client();
        config.set("group.id", "bench").set("enable.auto.commit", "false").set("fetch.min.bytes", "1");
        let consumer: BaseConsumer = config.create().context("a consumer of Kafka")?;
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITION_COUNT {
            all.add_partition_offset(&options.topics.events(), partition.into(), Offset::End)?;
        }
        consumer.assign(&all)?;
        let histogram = || Histogram::<u64>::new_with_bounds(1, 60_000_000, 3);
        let mut probed = Probed { produced: histogram()?, consumed: histogram()? };
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                let Some(Ok(message)) = consumer.poll(POLL) else { continue };
                if begun.elapsed() < warm_up {
                    continue;
                }
                let now = Utc::now();
                let Some(line) = message.payload().and_then(|line| serde_json::from_slice::<Line>(line).ok()) else {
                    continue;
                };
                let produced = message.timestamp().to_millis().and_then(DateTime::<Utc>::from_timestamp_millis);
                let Some(produced) = produced else { continue };
                let micros = |from: DateTime<Utc>, to: DateTime<Utc>| {
                    u64::try_from((to - from).num_microseconds().unwrap_or_default()).unwrap_or_default()
                };
                probed.produced.saturating_record(micros(line.recorded_at, produced));
                probed.consumed.saturating_record(micros(produced, now));
            }
            probed
        });
        Ok(Self { stop, thread })
    }

    pub async fn stop(self) -> anyhow::Result<Probed> {
        self.stop.store(true, Ordering::Release);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("the consumer beside the platform panicked"))
    }
}
