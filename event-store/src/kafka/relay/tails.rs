//! The last record of each partition: what a new leader finds.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use schema::log::{Generation, Position};
use schema::partition::PARTITION_COUNT;
use schema::record::{self, Head, header};
use schema::topics::LogTopic;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::lasts::Lasts;
use crate::kafka::KafkaOptions;
use crate::kafka::asking::{GivenUp, ask};
use crate::kafka::context::Quiet;
use crate::lineage::{Ends, KafkaTail};

/// How long all partitions together may take, where nothing else is set.
pub(super) const WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the topics can't be read")]
    Kafka(#[from] KafkaError),
    #[error("partition {partition} of {topic} has not answered within {} s", .within.as_secs())]
    Silent { topic: LogTopic, partition: i32, within: Duration },
}

/// The last record of a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub topic: LogTopic,
    pub partition: u8,
    pub offset: i64,
    /// Of an event or a watermark.
    pub position: Position,
    pub generation: Generation,
    /// Of an event.
    pub event_id: Option<Uuid>,
    /// Which log it is of, where it says so.
    pub log: Option<Uuid>,
}

/// What Kafka has.
#[derive(Debug, Clone, Default)]
pub(super) struct Tails {
    /// Of the partitions that have a record.
    pub tails: Vec<Tail>,
    /// Partitions without a record, of which Kafka has dropped all that they had: by age, or by hand.
    pub expired: Vec<(LogTopic, u8)>,
}

impl Tails {
    /// Up to where each partition has everything. What is known to be lost stands for no more than the generations share: a relay
    /// that was frozen may have written it after the next generation began, above what that one has yet to write.
    pub fn lasts(&self, ends: &Ends) -> Lasts {
        let mut lasts = Lasts::NONE;
        for tail in &self.tails {
            let shared = ends.shared_upto(tail.generation);
            let position = shared.map_or(tail.position, |shared| shared.min(tail.position));
            lasts.replace(tail.topic, tail.partition, position);
        }
        lasts
    }

    /// The last record of a partition.
    pub fn last(&self, topic: LogTopic, partition: u8) -> Option<&Tail> {
        self.tails.iter().find(|tail| tail.topic == topic && tail.partition == partition)
    }

    /// As they are compared with the log.
    pub fn of(&self, options: &KafkaOptions) -> Vec<KafkaTail> {
        let of = |tail: &Tail| KafkaTail {
            topic: options.topics.of(tail.topic),
            partition: tail.partition.into(),
            position: tail.position,
            generation: tail.generation,
            event_id: tail.event_id,
            log: tail.log,
        };
        self.tails.iter().map(of).collect()
    }

    /// `within`: how long all partitions together may take.
    pub async fn read(options: &KafkaOptions, checkpoint: &Checkpoint, within: Duration) -> Result<Self, Error> {
        let (options, lasts) = (options.clone(), checkpoint.lasts);
        let read = ask(move |given_up| Self::read_blocking(&options, &lasts, within, given_up));
        read.await.unwrap_or(Err(Error::Kafka(KafkaError::Canceled)))
    }

    fn read_blocking(
        options: &KafkaOptions,
        lasts: &Lasts,
        within: Duration,
        given_up: GivenUp<'_>,
    ) -> Result<Self, Error> {
        let mut config = options.client();
        config
            .set("group.id", "coulomb-relay")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet::default())?;
        let mut tails = Tails::default();
        let began = Instant::now();
        // One topic after the other: a partition's end doesn't say of which topic.
        for topic in LogTopic::ALL {
            let name = options.topics.of(topic);
            let is_over = || began.elapsed() > within || given_up();
            if let Some(partition) = tails.of_topic(&consumer, topic, &name, is_over)? {
                return Err(Error::Silent { topic, partition, within });
            }
            for partition in 0..PARTITION_COUNT {
                let had = lasts.get(topic, partition) > Position::START;
                let has = tails.last(topic, partition).is_some();
                // One that has never had any was made anew since the checkpoint, and lacks what it had.
                if had && !has && consumer.fetch_watermarks(&name, partition.into(), within)?.1 > 0 {
                    tails.expired.push((topic, partition));
                }
            }
        }
        Ok(tails)
    }

    /// A partition that has not answered when it was over, if there is one.
    fn of_topic(
        &mut self,
        consumer: &BaseConsumer<Quiet>,
        topic: LogTopic,
        name: &str,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<i32>, Error> {
        let mut ends = TopicPartitionList::new();
        let mut open: Vec<i32> = (0..topic.partitions()).collect();
        for &partition in &open {
            ends.add_partition_offset(name, partition, Offset::OffsetTail(1))?;
        }
        consumer.assign(&ends)?;
        while let Some(&partition) = open.first() {
            if is_over() {
                return Ok(Some(partition));
            }
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => self.take(topic, &message),
                Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|&other| other != partition),
                Some(Err(error)) if passes(&error) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        consumer.unassign()?;
        Ok(None)
    }

    /// What can't be read is not ours, and says nothing of how far ours go.
    fn take(&mut self, topic: LogTopic, message: &impl Message) {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers: Vec<_> = headers.map(|header| (header.key, header.value)).collect();
        let (Ok(head), Ok(partition)) = (record::head(headers.iter().copied()), u8::try_from(message.partition()))
        else {
            tracing::warn!(%topic, partition = message.partition(), offset = message.offset(), "the last record is none of ours");
            return;
        };
        let event_id = match head {
            Head::Event { .. } => headers.iter().find(|(name, _)| *name == header::EVENT_ID).and_then(|(_, id)| *id),
            Head::Watermark { .. } => None,
        };
        let event_id = event_id.and_then(|id| Uuid::try_parse_ascii(id).ok());
        let (position, generation, log) = (head.position(), head.generation(), head.log());
        let tail = Tail { topic, partition, offset: message.offset(), position, generation, event_id, log };
        match self.tails.iter_mut().find(|of| of.topic == topic && of.partition == partition) {
            // Somebody writes while we read.
            Some(known) if (known.generation, known.position) >= (tail.generation, tail.position) => {}
            Some(known) => *known = tail,
            None => self.tails.push(tail),
        }
    }
}

/// Whether the client goes on trying by itself.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, NotLeaderForPartition, Resolve,
    };
    matches!(
        error,
        KafkaError::MessageConsumption(
            AllBrokersDown | BrokerTransportFailure | LeaderNotAvailable | NotLeaderForPartition | Resolve
        ) | KafkaError::Global(AllBrokersDown | BrokerTransportFailure | Resolve)
    )
}
