//! The ring of the newest events, fed by Kafka; and what Kafka does not bring in time, read from Postgres.
//!
//! Nothing rests on what Kafka does. Positions are dense: the ring knows what is missing below a record that came, and the
//! head of the log, asked for now and then, says what is missing above the last one. Either has
//! [`poll_every`](crate::StoreOptions::poll_every) to come.

mod consumer;
mod counts;
mod lateness;
mod received;

use std::sync::Arc;
use std::time::{Duration, Instant};

use schema::partition::Partition;
use schema::record::Head;

use crate::EventStore;
use crate::kafka::KafkaOptions;
use crate::kafka::dead_letters::Letterbox;
use crate::lineage::Identity;
use crate::read;
use crate::store::WeakStore;
use crate::tail::{Carried, Limits, Mark, Standing, Tail};

pub(crate) use consumer::{Consumer, Sink};
pub use counts::KafkaCounts;
pub(crate) use counts::{Count, Counters};
pub(crate) use lateness::{Lateness, Watchdog};
pub(crate) use received::{Content, Received};

/// Between two looks at the log, whatever Kafka brings.
pub(crate) const LOOKS_APART: Duration = Duration::from_millis(20);

/// Runs until the store is dropped.
pub(crate) async fn run(store: WeakStore, tail: Tail, options: KafkaOptions, counters: Arc<Counters>) {
    let Some(current) = store.upgrade() else { return };
    let poll_every = current.options().poll_every;
    let letters = Letterbox::new(Some(current.dead_letters()), Arc::clone(&counters));
    let identity = current.identity_known().clone();
    drop(current);
    let sink = RingSink {
        tail: tail.clone(),
        counters: Arc::clone(&counters),
        patience: poll_every,
        identity: identity.clone(),
    };
    let consumer =
        match Consumer::start(&options, options.topics.events(), letters, identity, Arc::clone(&counters), sink) {
            Ok(consumer) => Some(consumer),
            Err(error) => {
                tracing::error!(%error, "Kafka can't be consumed without a thread; Postgres is polled");
                None
            }
        };
    let mut watch = Watch { tail: tail.clone(), counters, poll_every, lateness: Lateness::new(poll_every) };
    let mut watchdog = Watchdog::new(Instant::now());
    let mut failed = false;
    loop {
        let Some(current) = store.upgrade() else { return };
        if current.database().pool.is_closed() {
            return;
        }
        let looked = watch.look(&current).await;
        drop(current);
        if let Err(error) = &looked
            && !failed
        {
            tracing::warn!(%error, "the tail can't read the log");
        }
        failed = looked.is_err();
        if let Some(consumer) = &consumer
            && watchdog.barks(watch.lateness.is_silent(), watch.counters.read().heard(), Instant::now())
        {
            consumer.renew();
        }
        tokio::time::sleep(LOOKS_APART).await;
        let pause = if failed { poll_every } else { Duration::ZERO };
        tokio::time::sleep(pause).await;
        watch.rest().await;
    }
}

struct Watch {
    tail: Tail,
    counters: Arc<Counters>,
    poll_every: Duration,
    lateness: Lateness,
}

impl Watch {
    /// Compares the ring with the log, and reads what is overdue.
    async fn look(&mut self, store: &EventStore) -> Result<(), read::Error> {
        let mark = self.tail.mark();
        let (head, generation) = store.head().await?;
        store.learn_identity(head).await;
        let standing = self.tail.compare(mark, head, generation, Limits::of(store.options()));
        let (Standing::Upto(mut upto), Some(Mark { brought, .. })) = (standing, mark) else {
            return Ok(());
        };
        self.counters.lag(head.0 - upto.0);
        let now = Instant::now();
        let target = if self.lateness.is_overdue(upto, head, brought, now) {
            head
        } else {
            let wanted = self.tail.fill_wanted().filter(|fill| fill.at <= now);
            wanted.map_or(upto, |fill| fill.upto.min(head))
        };
        if target <= upto {
            return Ok(());
        }
        let mut filled = 0;
        while upto < target {
            let stretch = store.read_piece(upto, target).await?;
            upto = stretch.upto;
            filled += self.tail.fill(stretch, self.poll_every);
        }
        self.counters.add(Count::Filled, filled.unsigned_abs());
        self.counters.add(Count::Fills, u64::from(filled > 0));
        if target == head {
            self.lateness.filled(brought);
        }
        tracing::debug!(filled, %target, "what Kafka had not brought was read from Postgres");
        Ok(())
    }

    /// Until the next look.
    async fn rest(&self) {
        let next = Instant::now() + self.poll_every;
        loop {
            let fill = self.tail.fill_wanted().map(|fill| fill.at);
            let due = [fill, self.lateness.due_at()].into_iter().flatten().fold(next, Instant::min);
            tokio::select! {
                () = self.tail.look_wanted() => return,
                () = self.tail.rescheduled() => {}
                () = tokio::time::sleep_until(due.into()) => return,
            }
        }
    }
}

/// From the consumer's thread into the ring.
struct RingSink {
    tail: Tail,
    counters: Arc<Counters>,
    patience: Duration,
    /// Of the log.
    identity: Identity,
}

impl Sink for RingSink {
    fn wants(&mut self, _: Partition, head: &Head) -> bool {
        match head {
            Head::Event { position, .. } => {
                let wants = *position > self.tail.upto();
                self.counters.add(Count::Known, u64::from(!wants));
                wants
            }
            Head::Watermark { .. } => false,
        }
    }

    fn take(&mut self, received: Vec<Received>) -> bool {
        let is_foreign = |one: &&Received| matches!(one, Received::Record { content: Content::Foreign, .. });
        let foreign = received.iter().filter(is_foreign).count() as u64;
        self.counters.add(Count::Foreign, foreign);
        if foreign > 0 && self.identity.known().is_none() {
            // It may be the first that there is of this log.
            self.tail.look_again();
        }
        let carried = received.into_iter().filter_map(|received| match received {
            Received::Record { content: Content::Event { event, bytes, .. }, .. } => {
                Some(Carried::Event { event, bytes })
            }
            Received::Record { content: Content::Undecodable(Some(position)), .. } => {
                Some(Carried::Undecodable(position))
            }
            Received::Record {
                content: Content::Undecodable(None) | Content::Watermark { .. } | Content::Foreign,
                ..
            }
            | Received::Begun => None,
        });
        let brought = self.tail.bring(carried, self.patience);
        self.counters.add(Count::Taken, brought.taken);
        self.counters.add(Count::Known, brought.known);
        self.counters.add(Count::NoRoom, brought.no_room);
        self.counters.add(Count::Foreign, brought.foreign);
        true
    }
}
