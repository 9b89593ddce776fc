//! Kafka's topics, read with a client of its own.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::WAIT_MAX;

const MOMENT: Duration = Duration::from_millis(200);

/// Every partition of some topics from its beginning.
pub struct FromBeginning {
    consumer: BaseConsumer,
    /// Of each topic's partition, where it ended when the reading began.
    unread: HashMap<(String, i32), i64>,
}

impl FromBeginning {
    /// `topics`: with their numbers of partitions. `group`: a name for the brokers' logs; nothing is committed.
    ///
    /// # Panics
    /// When a topic is not there, or no broker answers.
    pub fn of(brokers: &str, group: &str, topics: impl IntoIterator<Item = (String, i32)>) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", group).set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer can be made");
        let (mut all, mut unread) = (TopicPartitionList::new(), HashMap::new());
        for (topic, partitions) in topics {
            for number in 0..partitions {
                let (begin, end) = consumer.fetch_watermarks(&topic, number, WAIT_MAX).expect("the topic is there");
                all.add_partition_offset(&topic, number, Offset::Beginning).expect("it is a partition");
                if end > begin {
                    unread.insert((topic.clone(), number), end);
                }
            }
        }
        consumer.assign(&all).expect("they can be read");
        Self { consumer, unread }
    }

    /// The next record; none: none has come by now.
    ///
    /// # Panics
    /// When records can't be read.
    pub fn poll(&mut self) -> Option<BorrowedMessage<'_>> {
        let message = match self.consumer.poll(MOMENT)? {
            Err(error) if passes(&error) => return None,
            message => message.expect("records can be read"),
        };
        let place = (message.topic().to_owned(), message.partition());
        if self.unread.get(&place).is_some_and(|end| message.offset() + 1 >= *end) {
            self.unread.remove(&place);
        }
        Some(message)
    }

    /// What of that which was there when the reading began has not been read: partitions, with where they ended.
    pub fn unread(&self) -> &HashMap<(String, i32), i64> {
        &self.unread
    }
}

/// Whether the client goes on trying by itself.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, NotLeaderForPartition};
    let passing = [AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, NotLeaderForPartition];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}
