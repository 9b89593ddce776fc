//! A record of Kafka, read.

use std::collections::HashSet;
use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use schema::digest::payload_hash;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;
use schema::record::{self, Head};
use uuid::Uuid;

use crate::archived::decoded_stored;
use crate::kafka::dead_letters::{DeadRecord, Letterbox};
use crate::lineage::Identity;

/// What came of a topic.
#[derive(Debug)]
pub(crate) enum Received {
    /// The consumer stands at the ends of all partitions. What came before is not known.
    Begun,
    Record {
        partition: Partition,
        /// Each is one more than the one before it, unless Kafka has left something out.
        offset: i64,
        content: Content,
    },
}

#[derive(Debug)]
pub(crate) enum Content {
    Event {
        event: Arc<RecordedEvent>,
        prev: Position,
        bytes: usize,
    },
    Watermark {
        upto: Position,
        generation: Generation,
    },
    /// It is of another log: the settings lead to the Kafka of another installation, or to its topics.
    Foreign,
    /// The place says what its headers say of it.
    Undecodable(Option<Position>),
}

/// Why a record can't be decoded.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error("an event without a value")]
    NoValue,
    #[error("the event is one of partition {0}")]
    OtherPartition(u8),
    #[error("the payload is another than its hash says")]
    OtherPayload,
    #[error(transparent)]
    Event(#[from] crate::read::Error),
}

impl Error {
    /// By which it is logged once.
    fn kind(&self) -> &'static str {
        match self {
            Self::Record(record::Error::NoHeader(_)) => "no_header",
            Self::Record(record::Error::Header { .. }) => "header",
            Self::Record(record::Error::Log(_)) => "log",
            Self::Record(record::Error::Value(_)) => "value",
            Self::Record(record::Error::Member(_)) => "member",
            Self::Record(record::Error::OtherPosition { .. }) => "other_position",
            Self::NoValue => "no_value",
            Self::OtherPartition(_) => "other_partition",
            Self::OtherPayload => "other_payload",
            Self::Event(_) => "event",
        }
    }
}

/// Reads records, and puts those that can't be decoded where they are kept.
pub(crate) struct Reader {
    letters: Letterbox,
    /// Of the log that is followed.
    identity: Identity,
    logged: HashSet<&'static str>,
}

impl Reader {
    pub fn new(letters: Letterbox, identity: Identity) -> Self {
        Self { letters, identity, logged: HashSet::new() }
    }

    /// None: nobody wants it. `wants`: whether the record need be decoded.
    pub fn read(
        &mut self,
        partition: Partition,
        message: &BorrowedMessage<'_>,
        wants: impl FnOnce(Partition, &Head) -> bool,
    ) -> Option<Content> {
        let head = record::head(headers(message)).map_err(Error::from);
        if let Some(log) = head.as_ref().ok().and_then(Head::log)
            && self.is_foreign(log, message)
        {
            return Some(Content::Foreign);
        }
        let position = match &head {
            Ok(Head::Event { position, .. }) => Some(*position),
            Ok(Head::Watermark { .. }) | Err(_) => None,
        };
        let content =
            match head {
                Ok(head) if !wants(partition, &head) => return None,
                Ok(Head::Watermark { upto, generation, .. }) => Ok(Content::Watermark { upto, generation }),
                Ok(Head::Event { position, prev, .. }) => event(partition, position, message)
                    .map(|event| Content::Event { event: Arc::new(event), prev, bytes: message.payload_len() }),
                Err(error) => Err(error),
            };
        Some(content.unwrap_or_else(|error| {
            self.put_aside(message, &error);
            Content::Undecodable(position)
        }))
    }

    /// Whether a record is of another log than the one that is followed. What can't be known yet, since that one had no event, is
    /// read from Postgres as well.
    fn is_foreign(&mut self, log: Uuid, message: &BorrowedMessage<'_>) -> bool {
        let ours = self.identity.known();
        if ours == Some(log) {
            return false;
        }
        if let Some(ours) = ours
            && self.logged.insert("foreign")
        {
            tracing::error!(
                topic = message.topic(),
                %log,
                %ours,
                "records of another log are passed over, and Postgres is read instead: KAFKA_BROKERS or \
                 COULOMB_KAFKA_TOPIC_PREFIX leads to another installation"
            );
        }
        true
    }

    fn put_aside(&mut self, message: &BorrowedMessage<'_>, error: &Error) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let error_of = error as &dyn std::error::Error;
        if self.logged.insert(error.kind()) {
            tracing::error!(
                topic,
                partition,
                offset,
                error = error_of,
                "a record can't be decoded; more of the kind are counted"
            );
        }
        self.letters.put(DeadRecord {
            topic: topic.to_owned(),
            partition,
            offset,
            key: message.key().map(<[u8]>::to_vec),
            headers: headers(message).map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect(),
            value: message.payload().map(<[u8]>::to_vec),
            error: words(error),
        });
    }
}

fn event(partition: Partition, position: Position, message: &BorrowedMessage<'_>) -> Result<RecordedEvent, Error> {
    let stored = record::decode(position, message.payload().ok_or(Error::NoValue)?)?;
    if stored.partition != partition.number() {
        return Err(Error::OtherPartition(stored.partition));
    }
    if payload_hash(&stored.payload) != stored.payload_hash {
        return Err(Error::OtherPayload);
    }
    Ok(decoded_stored(&stored)?)
}

fn headers<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
    message.headers().into_iter().flat_map(|headers| headers.iter()).map(|header| (header.key, header.value))
}

/// With its causes.
fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
