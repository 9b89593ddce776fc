//! A share of the sockets, one for each core: who follows what among them, their deadlines, and the task that delivers.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schema::log::Position;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::inbox::SubscriptionId;
use super::mailbox::{Mailbox, Signal};
use super::pacer::{Pacer, SPAN};
use super::topic::Topic;
use super::update::Changes;
use super::wheel::{WHEEL_TICK, Wheel};

/// Mailboxes are numbered over all shards.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
pub struct Shard {
    topics: Mutex<HashMap<Topic, Subscribers>>,
    sockets: Mutex<HashMap<u64, Arc<Mailbox>>>,
    wheel: Mutex<Wheel>,
    /// Everything up to here is in the inboxes.
    complete: watch::Sender<Position>,
}

#[derive(Debug)]
struct Subscriber {
    mailbox: Arc<Mailbox>,
    id: SubscriptionId,
}

/// Most topics have one follower; some have most of the network.
#[derive(Debug)]
enum Subscribers {
    One(Subscriber),
    Many(BTreeMap<(u64, u32), Subscriber>),
}

/// An update that a socket is to get: its place in the batch.
struct Hit {
    mailbox: Arc<Mailbox>,
    id: SubscriptionId,
    update: usize,
}

impl Shard {
    pub fn new(complete: Position) -> Self {
        Self {
            topics: Mutex::default(),
            sockets: Mutex::default(),
            wheel: Mutex::new(Wheel::new()),
            complete: watch::Sender::new(complete),
        }
    }

    pub fn attach(&self) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)));
        lock(&self.sockets).insert(mailbox.number(), mailbox.clone());
        mailbox
    }

    /// Its subscriptions have been ended before.
    pub fn detach(&self, mailbox: &Mailbox) {
        mailbox.alarm_at.store(0, Ordering::Relaxed);
        lock(&self.sockets).remove(&mailbox.number());
    }

    /// From the next batch on.
    pub fn subscribe(&self, topic: Topic, mailbox: &Arc<Mailbox>, id: SubscriptionId) {
        mailbox.inbox().open(id);
        let subscriber = Subscriber { mailbox: mailbox.clone(), id };
        let mut topics = lock(&self.topics);
        match topics.remove(&topic) {
            None => {
                topics.insert(topic, Subscribers::One(subscriber));
            }
            Some(Subscribers::One(first)) => {
                let both = [first, subscriber].map(|subscriber| (subscriber.place(), subscriber));
                topics.insert(topic, Subscribers::Many(BTreeMap::from(both)));
            }
            Some(Subscribers::Many(mut many)) => {
                many.insert(subscriber.place(), subscriber);
                topics.insert(topic, Subscribers::Many(many));
            }
        }
    }

    pub fn unsubscribe(&self, topic: Topic, mailbox: &Mailbox, id: SubscriptionId) {
        {
            let mut topics = lock(&self.topics);
            let place = (mailbox.number(), id.0);
            let empty = match topics.get_mut(&topic) {
                Some(Subscribers::One(only)) => only.place() == place,
                Some(Subscribers::Many(many)) => {
                    many.remove(&place);
                    many.is_empty()
                }
                None => false,
            };
            if empty {
                topics.remove(&topic);
            }
        }
        mailbox.inbox().close(id);
    }

    /// Calls the socket after `wait`, instead of whenever it was to be called.
    pub fn schedule(&self, mailbox: &Arc<Mailbox>, wait: Duration) {
        lock(&self.wheel).schedule(mailbox, wait);
    }

    pub fn complete(&self) -> Position {
        *self.complete.borrow()
    }

    /// Returns when everything up to `position` is in the inboxes; never, if the hub has ended.
    pub async fn completed(&self, position: Position) {
        let mut complete = self.complete.subscribe();
        if complete.wait_for(|complete| *complete >= position).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Another history begins, at `upto`. All that there was of the former one has been delivered.
    pub fn begin_again(&self, upto: Position) {
        for mailbox in self.sockets() {
            mailbox.inbox().begin_again();
        }
        self.complete.send_replace(upto);
    }

    pub fn sockets(&self) -> Vec<Arc<Mailbox>> {
        lock(&self.sockets).values().cloned().collect()
    }

    /// Delivers until the hub ends.
    pub async fn run(self: Arc<Self>, mut batches: mpsc::Receiver<Arc<Changes>>) {
        let mut pacer = Pacer::new();
        let mut spans = interval(SPAN);
        let mut ticks = interval(WHEEL_TICK);
        spans.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(changes) => self.deliver(&changes, &mut pacer),
                    None => return,
                },
                _ = spans.tick(), if !pacer.is_idle() => pacer.release(),
                _ = ticks.tick() => {
                    let due = lock(&self.wheel).turn();
                    due.iter().for_each(|mailbox| mailbox.call(Signal::ALARM));
                }
            }
        }
    }

    fn deliver(&self, changes: &Changes, pacer: &mut Pacer) {
        let mut hits = self.hits(changes);
        // A stable order by socket: each gets its part of the batch at once, in the order of positions.
        hits.sort_by_key(|hit| hit.mailbox.number());
        let mut conflated = 0;
        for of_one in hits.chunk_by(|a, b| a.mailbox.number() == b.mailbox.number()) {
            let updates = of_one.iter().map(|hit| (hit.id, &changes.updates[hit.update]));
            conflated += of_one[0].mailbox.inbox().put(changes.after, changes.upto, updates);
        }
        self.complete.send_replace(changes.upto);
        let fanned_out = hits.len();
        hits.dedup_by_key(|hit| hit.mailbox.number());
        for hit in hits {
            pacer.call(hit.mailbox);
        }
        if fanned_out > 0 {
            metrics::counter!("coulomb_realtime_updates_total").increment(fanned_out as u64);
            metrics::counter!("coulomb_realtime_conflated_total").increment(conflated as u64);
            metrics::histogram!("coulomb_realtime_fan_out_size").record(fanned_out as f64);
            metrics::histogram!("coulomb_realtime_fan_out_seconds").record(changes.taken_at.elapsed().as_secs_f64());
        }
    }

    fn hits(&self, changes: &Changes) -> Vec<Hit> {
        let mut hits = Vec::new();
        let topics = lock(&self.topics);
        if topics.is_empty() {
            return hits;
        }
        for (update, change) in changes.updates.iter().enumerate() {
            let mut hit = |subscriber: &Subscriber| {
                hits.push(Hit { mailbox: subscriber.mailbox.clone(), id: subscriber.id, update });
            };
            for topic in change.topics() {
                match topics.get(&topic) {
                    None => {}
                    Some(Subscribers::One(only)) => hit(only),
                    Some(Subscribers::Many(many)) => many.values().for_each(&mut hit),
                }
            }
        }
        hits
    }
}

impl Subscriber {
    fn place(&self) -> (u64, u32) {
        (self.mailbox.number(), self.id.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_in_another_history_is_told_of_no_position_of_the_former_one() {
        let (former, upto, id) = (Position(1001), Position(900), SubscriptionId(1));
        let shard = Shard::new(Position(1000));
        let mailbox = shard.attach();
        mailbox.inbox().put(Position(1000), former, std::iter::empty());
        let told = |floor| {
            mailbox.inbox().open(id);
            let (_, told) = mailbox.inbox().begin(id, floor, shard.complete());
            mailbox.inbox().close(id);
            told
        };
        assert_eq!(told(upto), former);
        shard.begin_again(upto);
        assert_eq!(told(upto), upto);
    }
}
