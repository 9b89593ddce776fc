//! What the leader does: it takes what was read, produces it in order, and tells how far Kafka has acknowledged it.

use std::time::{Duration, Instant};

use schema::log::{Generation, Position};
use schema::partition::PARTITION_COUNT;
use schema::topics::LogTopic;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::beginning::{Beginning, LOST};
use super::checkpoint::{self, Checkpoint, Key};
use super::keeper::Keeper;
use super::lasts::Lasts;
use super::produce::{self, Producer};
use super::read::{BATCHES_AHEAD, Batch, Ended, Reader};
use super::state::{Doing, Stopped};
use super::tails::{self, Tails};
use super::{RelayOptions, Said, begun};
use crate::kafka::context::because;
use crate::kafka::topics;
use crate::leases::Lease;
use crate::lineage::{self, Comparison, State};
use crate::{EventStore, dead_letters, read};

/// Without an acknowledgement for so long, Kafka is said to be down.
const DOWN_AFTER: Duration = Duration::from_secs(2);
/// How long the last acknowledgements are waited for when the process ends.
const FAREWELL: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Watermarks of one partition at a time: each is a request for the broker and an answer for every consumer, and all at once
/// would keep events waiting behind them.
const WATERMARK_ROUNDS: u32 = PARTITION_COUNT as u32;

/// Why somebody leads no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Topics(#[from] topics::Error),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Tails(#[from] tails::Error),
    #[error(transparent)]
    Produce(#[from] produce::Error),
    #[error("Kafka has acknowledged nothing for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the log can't be read")]
    Read(#[from] read::Error),
    #[error("the relay's checkpoint can't be used")]
    Checkpoint(#[from] sqlx::Error),
    #[error(transparent)]
    Reading(#[from] Ended),
    #[error("the log takes nothing until it is known whether it lost something")]
    TakesNothing,
    #[error("the lease of the relay is another's")]
    LeaseLost,
}

pub(super) struct Leader<'r> {
    store: &'r EventStore,
    said: &'r Said,
    options: &'r RelayOptions,
    producer: Producer,
    /// As far as it was produced.
    produced: Checkpoint,
    /// Of each partition, what Kafka has had before.
    has: Lasts,
    /// Up to where each partition was told, by an event or a watermark.
    told: Lasts,
    /// Whose watermarks are next.
    turn: u8,
    /// Since when nothing was acknowledged, while something waits for it.
    waiting_since: Option<Instant>,
}

/// Leads until the lease is lost, something fails, or the end has begun: then without an error.
pub(super) async fn lead(
    store: &EventStore,
    options: &RelayOptions,
    lease: &Lease,
    said: &Said,
    ending: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (acknowledged, keep) = watch::channel(None);
    let keeper = Keeper { store, options, lease, checkpoints: keep, failed: false };
    let mut begins_to_end = ending.clone();
    let leading = async {
        let prepared = tokio::select! {
            prepared = prepare(store, options, said) => prepared?,
            // Kafka may take its time.
            () = begun(&mut begins_to_end) => return Ok(()),
        };
        tracing::info!(from = %prepared.checkpoint.position, head = %prepared.head, epoch = lease.epoch, "this relay leads");
        let ended = run(prepared, store, options, lease, said, ending, &acknowledged).await;
        if let Err(Error::Produce(error @ produce::Error::WentBack { .. })) = &ended {
            tracing::error!(
                %error,
                "Kafka has lost records that it had acknowledged, or a topic was deleted and made anew while it was written to; what \
                 can be is written again, and consumers see by `prev` where the rest is missing. To have the topic whole: stop all relays, \
                 delete it, start them"
            );
            metrics::counter!(LOST).increment(1);
        }
        ended
    };
    tokio::select! {
        ended = leading => ended,
        () = keeper.keep() => Err(Error::LeaseLost),
    }
}

/// Where a leader begins.
struct Prepared {
    key: Key,
    checkpoint: Checkpoint,
    /// The position of the checkpoint that is written already.
    written: Position,
    /// What Kafka has, and up to where each partition has everything.
    tails: Tails,
    has: Lasts,
    head: Position,
    generation: Generation,
    /// Of the log; none: it has no event yet.
    identity: Option<Uuid>,
    /// Changes seen since the log was last known to take appends.
    lineage: watch::Receiver<State>,
}

/// Looks what Kafka has, and whether it is of this log as it is.
async fn prepare(store: &EventStore, options: &RelayOptions, said: &Said) -> Result<Prepared, Error> {
    let prefix = options.kafka.topics.prefix();
    // Before Kafka is asked, which may be down: what waits for it is what was never relayed, and not the whole log.
    said.relayed_before(checkpoint::newest(store, prefix).await?);
    let cluster = topics::ensure(&options.kafka).await?;
    let key = Key { cluster, prefix: prefix.to_owned() };
    let checkpoint = Checkpoint::read(store, &key).await?;
    let written = checkpoint.position;
    let tails = Tails::read(&options.kafka, &checkpoint, options.tails_within).await?;
    match lineage::settle(store, &tails.of(&options.kafka)).await? {
        Comparison::NothingLost => {}
        Comparison::Lost(loss) => return Err(Stopped::LostTail(loss).into()),
        Comparison::OtherHistory(loss) => return Err(Stopped::OtherHistory(loss).into()),
        Comparison::Foreign(foreign) => return Err(Stopped::Foreign(foreign).into()),
    }
    let mut lineage = store.lineage();
    lineage.mark_unchanged();
    // Asked again, now that a change would be noticed: the server may have been another one's since.
    if !store.lineage_now().await?.is_open() {
        return Err(Error::TakesNothing);
    }
    let (head, generation) = store.head().await?;
    let identity = store.identity().await?;
    let has = tails.lasts(&lineage::Ends::load(store).await?);
    let Beginning { checkpoint, has } = Beginning::find(store, checkpoint, &tails, has).await?;
    Ok(Prepared { key, checkpoint, written, tails, has, head, generation, identity, lineage })
}

async fn run(
    prepared: Prepared,
    store: &EventStore,
    options: &RelayOptions,
    lease: &Lease,
    said: &Said,
    mut ending: watch::Receiver<bool>,
    acknowledged: &watch::Sender<Option<(Key, Checkpoint)>>,
) -> Result<(), Error> {
    let Prepared { key, checkpoint, written, tails, has, head, generation, identity, mut lineage } = prepared;
    // One that says less would hide from whoever leads next what partitions had, and that they lack it still.
    let keep = |then: Checkpoint| {
        if then.position >= written {
            acknowledged.send_replace(Some((key.clone(), then)));
        }
    };
    let (batches, mut read) = mpsc::channel(BATCHES_AHEAD);
    let (head, mut heads) = watch::channel(head);
    let reader = Reader { store: store.clone(), at: checkpoint.position, generation, batches, head };
    let mut reading = JoinSet::new();
    reading.spawn(reader.run());
    let mut copying = JoinSet::new();
    copying.spawn(dead_letters::copy(store.downgrade(), options.kafka.clone()));
    said.leads(checkpoint.position, *heads.borrow_and_update());
    let mut leader = Leader {
        store,
        said,
        options,
        producer: Producer::new(&options.kafka, &tails)?,
        produced: checkpoint,
        has,
        told: has,
        turn: 0,
        waiting_since: None,
    };
    if let Some(log) = identity {
        leader.producer.tells_of(log);
    }
    let mut watermarks = tokio::time::interval(options.watermark_every / WATERMARK_ROUNDS);
    watermarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let acks = std::sync::Arc::clone(&leader.producer.acks);
    loop {
        tokio::select! {
            biased;
            () = acks.moved.notified() => {
                if let Some(then) = leader.acknowledged()? {
                    keep(then);
                }
            }
            _ = watermarks.tick() => leader.watermarks().await?,
            Some(batch) = read.recv(), if leader.has_room() => leader.produce(batch).await?,
            Ok(()) = heads.changed() => leader.said.head(*heads.borrow_and_update()),
            _ = look.tick() => leader.look()?,
            Some(ended) = reading.join_next() => return Err(ended.unwrap_or(Ended::Closed).into()),
            // What Kafka has is compared with it anew.
            Ok(()) = lineage.changed() => if !lineage.borrow_and_update().is_open() { return Err(Error::TakesNothing) },
            () = begun(&mut ending) => break,
        }
    }
    reading.abort_all();
    let farewell = tokio::time::Instant::now() + FAREWELL;
    while !leader.producer.is_idle() && tokio::time::timeout_at(farewell, acks.moved.notified()).await.is_ok() {
        if let Some(then) = leader.acknowledged()? {
            keep(then);
        }
    }
    let last = acknowledged.borrow().clone();
    if let Some((key, then)) = last {
        then.write(store, &key, lease).await?;
    }
    Ok(())
}

impl Leader<'_> {
    fn has_room(&self) -> bool {
        self.producer.events < self.options.window_events_max && self.producer.bytes < self.options.window_bytes_max
    }

    async fn produce(&mut self, Batch { rows, upto }: Batch) -> Result<(), Error> {
        if !self.producer.knows_the_log() {
            // It has its first event since.
            let log = self.store.identity().await?.ok_or(Ended::Closed)?;
            self.producer.tells_of(log);
        }
        let mut stretch = self.producer.open();
        let mut produced: u64 = 0;
        for row in &rows {
            let event = row.stored()?;
            for topic in LogTopic::ALL {
                if !topic.holds(event.event_type) {
                    continue;
                }
                let prev = self.produced.lasts.replace(topic, event.partition, event.position);
                // It has this already, from whoever led before.
                if event.position > self.has.get(topic, event.partition) {
                    self.producer.event(topic, &event, prev, &mut stretch).await?;
                    produced += 1;
                }
            }
            self.produced.generation = event.generation;
        }
        self.produced.position = upto;
        self.producer.close(stretch, rows.len(), self.produced);
        self.waiting_since.get_or_insert_with(Instant::now);
        metrics::counter!("coulomb_relay_events_total").increment(rows.len() as u64);
        metrics::counter!("coulomb_relay_records_total").increment(produced);
        Ok(())
    }

    /// Of the partition whose turn it is: all of it up to what was produced last stands before its watermark.
    async fn watermarks(&mut self) -> Result<(), Error> {
        let Checkpoint { position: upto, generation, .. } = self.produced;
        if !self.has_room() {
            return Ok(());
        }
        let partition = self.turn;
        self.turn = (partition + 1) % PARTITION_COUNT;
        for topic in LogTopic::ALL {
            // An event at that very position says it already.
            let said = self.told.get(topic, partition).max(self.produced.lasts.get(topic, partition));
            if upto > said {
                self.producer.watermark(topic, partition, upto, generation).await?;
                self.told.replace(topic, partition, upto);
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self) -> Result<Option<Checkpoint>, Error> {
        let then = self.producer.acknowledged()?;
        if let Some(then) = &then {
            self.waiting_since = (!self.producer.is_idle()).then(Instant::now);
            self.said.relayed(then.position);
        }
        Ok(then)
    }

    /// Whether Kafka goes on.
    fn look(&self) -> Result<(), Error> {
        let librdkafka = &self.producer.acks.said;
        let Some(since) = self.waiting_since.filter(|since| since.elapsed() > DOWN_AFTER) else {
            librdkafka.forget();
            return Ok(());
        };
        if since.elapsed() > self.options.kafka_patience {
            return Err(Error::Silent(self.options.kafka_patience));
        }
        self.said.doing(Doing::KafkaDown {
            since,
            why: format!("it acknowledges nothing{}", because(librdkafka.why().as_deref())),
        });
        Ok(())
    }
}

impl Error {
    /// How it is shown.
    pub fn doing(&self, since: Instant) -> Doing {
        let down = || Doing::KafkaDown { since, why: super::state::with_causes(self) };
        match self {
            Self::Stopped(why) => Doing::Stopped { why: why.clone() },
            Self::Topics(error) => Option::<Stopped>::from(error).map_or_else(down, |why| Doing::Stopped { why }),
            Self::Produce(produce::Error::TooLarge { topic }) => {
                Doing::Stopped { why: Stopped::TooLarge { topic: topic.clone() } }
            }
            Self::Tails(_) | Self::Produce(produce::Error::Kafka(_)) | Self::Silent(_) => down(),
            Self::Produce(produce::Error::WentBack { .. })
            | Self::Read(_)
            | Self::Checkpoint(_)
            | Self::Reading(_)
            | Self::TakesNothing
            | Self::LeaseLost => Doing::Standby,
        }
    }
}
