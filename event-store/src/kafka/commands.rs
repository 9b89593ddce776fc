//! What an edge follows: the topic of station commands by the consumer's rule, and Postgres where Kafka does not bring it.
//!
//! The topic holds few events of the log, so density doesn't tell what is missing. `prev` does, and watermarks do: a record
//! says which one was before it in its partition, a watermark that there is nothing more up to it. Neither says anything of
//! what came before the consumer began, or of what can't be read: there the log is asked once.

mod coverage;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;
use schema::record::Head;
use schema::topics::STATION_COMMANDS;
use tokio::sync::mpsc;

use crate::EventStore;
use crate::archived::decoded_stored;
use crate::feed::{Error, Feed, FeedBatch};
use crate::kafka::KafkaOptions;
use crate::kafka::dead_letters::Letterbox;
use crate::kafka::relay::WATERMARK_EVERY;
use crate::kafka::tail::{Consumer, Content, Count, Counters, LOOKS_APART, Lateness, Received, Sink, Watchdog};
use crate::partitions::PartitionSet;
use crate::stored::Filter;
use coverage::{Coverage, Step};

/// Batches of the consumer that wait for the edge; then the consumer waits too.
const BATCHES_MAX: usize = 16;

pub(crate) struct CommandFeed {
    store: EventStore,
    options: KafkaOptions,
    counters: Arc<Counters>,
    /// None: it has not begun.
    consumer: Option<(Consumer, mpsc::Receiver<Vec<Received>>)>,
    coverage: Coverage,
    /// What was taken and not handed on, of which some partitions' may have to wait for what is before it.
    events: Vec<Arc<RecordedEvent>>,
    /// All before it was handed on.
    at: Position,
    generation: Option<Generation>,
    lateness: Lateness,
    watchdog: Watchdog,
    looked: Option<Instant>,
    look_at: Instant,
}

impl CommandFeed {
    pub fn new(store: EventStore, options: KafkaOptions, counters: Arc<Counters>, from: Position) -> Self {
        let now = Instant::now();
        Self {
            coverage: Coverage::starting_at(from),
            events: vec![],
            at: from,
            generation: None,
            lateness: Lateness::new(store.options().poll_every + WATERMARK_EVERY),
            watchdog: Watchdog::new(now),
            looked: None,
            look_at: now,
            consumer: None,
            store,
            options,
            counters,
        }
    }

    fn begin(&mut self) {
        if self.consumer.is_some() {
            return;
        }
        let (sender, receiver) = mpsc::channel(BATCHES_MAX);
        let letters = Letterbox::new(Some(self.store.dead_letters()), Arc::clone(&self.counters));
        let identity = self.store.identity_known().clone();
        let sink = CommandSink { sender };
        let (topic, counters) = (self.options.topics.station_commands(), Arc::clone(&self.counters));
        match Consumer::start(&self.options, topic, letters, identity, counters, sink) {
            Ok(consumer) => self.consumer = Some((consumer, receiver)),
            Err(error) => tracing::error!(%error, "Kafka can't be consumed without a thread; Postgres is polled"),
        }
    }

    /// By the consumer's rule.
    fn take(&mut self, received: Vec<Received>) {
        for received in received {
            let (partition, offset, content) = match received {
                Received::Begun => {
                    self.coverage.begun();
                    continue;
                }
                Received::Record { partition, offset, content } => (partition, offset, content),
            };
            self.coverage.offset(partition, offset);
            let (generation, step) = match &content {
                Content::Event { event, prev, .. } => {
                    (event.generation, Step::Event { position: event.position, prev: *prev })
                }
                Content::Watermark { upto, generation } => (*generation, Step::Watermark(*upto)),
                Content::Foreign => {
                    self.counters.add(Count::Foreign, 1);
                    // Where our log is known, what another has there says nothing of it.
                    if self.store.identity_known().known().is_none() {
                        self.coverage.unreadable(partition);
                    }
                    continue;
                }
                Content::Undecodable(_) => {
                    self.coverage.unreadable(partition);
                    continue;
                }
            };
            if self.coverage.has(partition, step) {
                self.counters.add(Count::Known, u64::from(matches!(step, Step::Event { .. })));
                continue;
            }
            // Its headers say the generation of the event; that of a watermark may be older than the log's for a while.
            if self.generation.is_some_and(|own| own != generation) {
                self.counters.add(Count::Foreign, 1);
                self.coverage.unreadable(partition);
                continue;
            }
            self.coverage.take(partition, step);
            if let Content::Event { event, .. } = content {
                self.counters.add(Count::Taken, 1);
                self.events.push(event);
            }
        }
        if !self.coverage.doubts().is_empty() {
            self.look_soon();
        }
    }

    fn look_soon(&mut self) {
        let now = Instant::now();
        self.look_at = self.look_at.min(self.looked.map_or(now, |looked| (looked + LOOKS_APART).max(now)));
    }

    /// Compares with the log. What is overdue becomes a hole.
    async fn look(&mut self) -> Result<(), Error> {
        let highest = self.coverage.highest().max(self.at);
        let (head, generation) = self.store.head().await?;
        self.store.learn_identity(head).await;
        let now = Instant::now();
        match self.generation {
            Some(was) if was != generation => return Err(Error::OtherGeneration { was, is: generation, head }),
            _ => self.generation = Some(generation),
        }
        if highest > head {
            return Err(Error::AheadOfLog { from: highest, head, generation });
        }
        let reached = self.coverage.reached();
        self.counters.lag(head.0 - reached.0);
        let (taken, heard) = (self.coverage.taken(), self.coverage.heard());
        if self.lateness.is_overdue(reached, head, taken, now) {
            self.coverage.owed(head, PartitionSet::ALL);
            self.lateness.filled(taken);
        } else {
            self.coverage.owed(head, self.coverage.doubts());
        }
        if let Some((consumer, _)) = &self.consumer
            && self.watchdog.barks(self.lateness.is_silent(), heard, now)
        {
            consumer.renew();
        }
        self.looked = Some(now);
        let next = now + self.store.options().poll_every;
        self.look_at = self.lateness.due_at().map_or(next, |due| due.min(next)).max(now + LOOKS_APART);
        Ok(())
    }

    /// Reads what Kafka has not brought.
    async fn fill(&mut self) -> Result<(), Error> {
        let Some((after, upto)) = self.coverage.holes_span() else { return Ok(()) };
        let filter = Filter { event_types: STATION_COMMANDS.map(str::to_owned).to_vec(), ..Filter::default() };
        let (head, _) = self.store.head().await?;
        let upto = upto.min(head);
        let had: HashSet<Position> = self.events.iter().map(|event| event.position).collect();
        let (mut read, mut at) = (vec![], after);
        while at < upto {
            let look = self.store.look(at, upto, &filter).await?;
            for stored in look.events {
                let is_missing = |of| self.coverage.is_missing(of, stored.position);
                if Partition::new(stored.partition).is_some_and(is_missing) && !had.contains(&stored.position) {
                    read.push(Arc::new(decoded_stored::<RecordedEvent>(&stored)?));
                }
            }
            at = look.upto;
        }
        self.counters.add(Count::Fills, 1);
        self.counters.add(Count::Filled, read.len() as u64);
        self.coverage.filled();
        self.events.append(&mut read);
        Ok(())
    }

    /// What can be handed on: everything, unless something is missing below it.
    fn batch(&mut self) -> Option<FeedBatch> {
        let generation = self.generation?;
        let upto = self.coverage.reached();
        if self.coverage.holes_span().is_some() || (self.events.is_empty() && upto <= self.at) {
            return None;
        }
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.position);
        self.at = self.at.max(upto);
        Some(FeedBatch { events, upto: self.at, generation })
    }
}

#[async_trait]
impl Feed for CommandFeed {
    async fn next(&mut self) -> Result<FeedBatch, Error> {
        self.begin();
        loop {
            self.fill().await?;
            if let Some(batch) = self.batch() {
                return Ok(batch);
            }
            if self.looked.is_none() || self.look_at <= Instant::now() {
                self.look().await?;
                continue;
            }
            let received = async {
                match &mut self.consumer {
                    Some((_, receiver)) => receiver.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = received => match received {
                    Some(received) => self.take(received),
                    None => self.consumer = None,
                },
                () = tokio::time::sleep_until(self.look_at.into()) => {}
            }
        }
    }
}

/// From the consumer's thread to the feed.
struct CommandSink {
    sender: mpsc::Sender<Vec<Received>>,
}

impl Sink for CommandSink {
    fn wants(&mut self, _: Partition, _: &Head) -> bool {
        true
    }

    fn take(&mut self, received: Vec<Received>) -> bool {
        self.sender.blocking_send(received).is_ok()
    }
}
