//! The topics of Kafka, read from their beginning by the consumer's rule, with a client of its own.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::message::Headers;
use schema::log::{Position, RecordedEvent};
use schema::partition::{PARTITION_COUNT, partition};
use schema::record::{self, Head};
use schema::stored::StoredEvent;
use schema::topics::{LogTopic, Topics};
use tests::personal::first_found;
use tests::topics::FromBeginning;

/// For the relay to bring the last of it.
const READ_MAX: Duration = Duration::from_secs(120);

/// What was read.
pub struct Read {
    of: HashMap<LogTopic, OfTopic>,
    /// Every record's value, key and headers as they are, of all topics with that of dead letters, for who looks for what must not be there.
    raw: Vec<Vec<u8>>,
    dead_letters: usize,
}

#[derive(Default)]
struct OfTopic {
    /// What the rule has taken, by partition.
    taken: HashMap<u8, Vec<StoredEvent>>,
    last: HashMap<u8, Position>,
    records: usize,
    dropped: usize,
    holes: usize,
}

/// Reads all that is there, and on until every partition has told of the last event that the log has in it.
///
/// # Panics
/// When that never comes, or a record can't be read.
pub fn read(brokers: &str, events: &[RecordedEvent]) -> Read {
    let topics = Topics::default();
    let names: HashMap<String, LogTopic> = LogTopic::ALL.map(|topic| (topics.of(topic), topic)).into();
    let of_dead_letters = (topics.dead_letters(), 1);
    let of_the_log = names.iter().map(|(name, topic)| (name.clone(), topic.partitions()));
    let mut reader = FromBeginning::of(brokers, "chaos", of_the_log.chain([of_dead_letters]));
    let mut wanted: HashMap<(LogTopic, u8), Position> = HashMap::new();
    for event in events {
        for topic in LogTopic::ALL.into_iter().filter(|topic| topic.holds(&event.event_type)) {
            wanted.insert((topic, event.partition.number()), event.position);
        }
    }
    let mut read =
        Read { of: LogTopic::ALL.map(|topic| (topic, OfTopic::default())).into(), raw: vec![], dead_letters: 0 };
    let until = Instant::now() + READ_MAX;
    while !(wanted.is_empty() && reader.unread().is_empty()) {
        assert!(Instant::now() < until, "not told to the end: {wanted:?}; not read to the end: {:?}", reader.unread());
        let Some(message) = reader.poll() else { continue };
        let said = message.headers().into_iter().flat_map(|headers| headers.iter()).filter_map(|header| header.value);
        read.raw.extend(said.chain(message.payload()).chain(message.key()).map(<[u8]>::to_vec));
        let Some(topic) = names.get(message.topic()) else {
            read.dead_letters += 1;
            continue;
        };
        let number = u8::try_from(message.partition()).expect("there are 64");
        let of = read.of.get_mut(topic).expect("it has all of them");
        of.take(number, &message);
        if wanted.get(&(*topic, number)).is_some_and(|wanted| of.last[&number] >= *wanted) {
            wanted.remove(&(*topic, number));
        }
    }
    read
}

impl OfTopic {
    fn take(&mut self, number: u8, message: &impl Message) {
        self.records += 1;
        let headers = message.headers().expect("a record has headers");
        let head = record::head(headers.iter().map(|header| (header.key, header.value))).expect("they can be read");
        let last = self.last.entry(number).or_default();
        if head.position() <= *last {
            self.dropped += 1;
            return;
        }
        if let Head::Event { prev, .. } = head {
            self.holes += usize::from(prev > *last);
            let value = message.payload().expect("an event has a value");
            let event = record::decode(head.position(), value).expect("it can be read");
            assert_eq!(event.partition, number);
            assert_eq!(partition(event.partition_key).number(), number, "it stands where its key belongs");
            self.taken.entry(number).or_default().push(event);
        }
        *last = head.position();
    }
}

impl Read {
    /// By the rule, each topic has exactly what the log has for it, in its order, and no hole. What came after these events
    /// were read is passed over: a charger may have been found missing since.
    ///
    /// # Panics
    /// When it does not.
    pub fn equal_the_log(&self, events: &[RecordedEvent]) {
        let end = events.last().expect("the log has events").position;
        for (topic, of) in &self.of {
            assert_eq!(of.holes, 0, "{topic} has holes");
            let mut taken = 0;
            for number in 0..PARTITION_COUNT {
                let read = of.taken.get(&number).map_or(&[][..], Vec::as_slice);
                let logged =
                    events.iter().filter(|event| event.partition.number() == number && topic.holds(&event.event_type));
                let logged: Vec<_> = logged.map(|event| (event.position, event.event_id, event.payload_hash)).collect();
                let read = read.iter().filter(|event| event.position <= end);
                let read: Vec<_> = read.map(|event| (event.position, event.event_id, event.payload_hash)).collect();
                assert_eq!(read, logged, "partition {number} of {topic}");
                taken += read.len();
            }
            assert!(taken > 0, "{topic} has nothing");
        }
    }

    /// # Panics
    /// When one of the texts stands in a record.
    pub fn hold_none_of(&self, texts: &[String]) {
        let known = ["transactionSTARTED".to_owned()];
        assert!(first_found(&self.raw, &known).is_some(), "what stands in the topics is found");
        assert_eq!(first_found(&self.raw, texts), None, "what is personal stands in a topic");
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (topic, of) in &self.of {
            let taken: usize = of.taken.values().map(Vec::len).sum();
            writeln!(f, "{topic}: {} records, {taken} taken, {} dropped by the rule", of.records, of.dropped)?;
        }
        write!(f, "dead letters: {}", self.dead_letters)
    }
}
