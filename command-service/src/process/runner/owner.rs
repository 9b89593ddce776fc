//! One share of the partitions, from taking it over until something ends that. It may be dropped at any moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use event_store::PartitionSet;
use event_store::feed::{Feed, FeedBatch, From, Log};
use event_store::leases::{Lease, Share};
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;
use tokio::time::{MissedTickBehavior, interval_at};

use super::alarm::alarm;
use super::batch::{Changes, Issue, Waiting, derive};
use super::perform::perform_all;
use super::tables::{Commit, Due};
use super::{Error, Runner};
use crate::process::manager::{Ids, Manager, Origin, Outcome, Task};

/// Timers that are done in one go; events come between.
const FIRE_MAX: i64 = 256;

pub(super) struct Owner<'r, M: Manager> {
    runner: &'r Runner<M>,
    leases: BTreeMap<Partition, Lease>,
    generation: Generation,
    /// Everything of the share up to here was acted on.
    scanned: Position,
    /// Up to where all checkpoints are.
    settled: Position,
    /// Timers wait until this was scanned: what they wait for may have happened already.
    fire_from: Position,
    next_due: Option<DateTime<Utc>>,
}

impl<'r, M: Manager> Owner<'r, M> {
    pub fn new(runner: &'r Runner<M>, share: Share) -> Self {
        let partition = |lease: &Lease| u8::try_from(lease.partition).ok().and_then(Partition::new);
        let leases = share.into_iter().filter_map(|lease| Some((partition(&lease)?, lease))).collect();
        let (scanned, settled, fire_from) = (Position::START, Position::START, Position::START);
        Self { runner, leases, generation: Generation::FIRST, scanned, settled, fire_from, next_due: None }
    }

    /// Ends only with an error.
    pub async fn run(mut self) -> Error {
        match self.own().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn own(&mut self) -> Result<std::convert::Infallible, Error> {
        if self.leases.is_empty() {
            self.runner.gate.ready();
            return std::future::pending().await;
        }
        let mut feed = self.take_over().await?;
        self.runner.gate.ready();
        let every = self.runner.options.housekeeping_every;
        let mut housekeeping = interval_at(tokio::time::Instant::now() + every, every);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.next_due.filter(|_| self.scanned >= self.fire_from);
            tokio::select! {
                batch = feed.next() => self.take(batch?).await?,
                () = alarm(due) => self.fire().await?,
                _ = housekeeping.tick() => self.keep_house().await?,
            }
        }
    }

    /// Begins where the partitions' last owners have committed. They can commit nothing more: the leases are ours.
    async fn take_over(&mut self) -> Result<Box<dyn Feed>, Error> {
        let (head, generation) = self.runner.store.head().await?;
        let stored = self.runner.tables.checkpoints(&self.numbers()).await?;
        let mut shared = BTreeMap::new();
        for (of, _) in stored.values() {
            if !shared.contains_key(of) {
                shared.insert(*of, self.runner.store.shared_upto(*of).await?);
            }
        }
        // Of a former generation it goes back to where the two part. What was done is done, and nothing is done twice.
        let went_back =
            |of: &Generation, at: Position| shared.get(of).copied().flatten().map_or(at, |upto| at.min(upto));
        let cursor = |partition: &Partition| match stored.get(partition) {
            Some((of, at)) if *of <= generation && went_back(of, *at) <= head => went_back(of, *at),
            // Of a history that is gone, or nobody has held it yet: what happened before the manager was first run concerns
            // it as well.
            Some(_) | None => Position::START,
        };
        let cursors: Vec<_> = self.leases.keys().map(|partition| (*partition, cursor(partition))).collect();
        self.generation = generation;
        self.scanned = cursors.iter().map(|(_, position)| *position).min().unwrap_or_default();
        self.settled = self.scanned;
        self.fire_from = head;
        self.next_due = self.runner.tables.next_due(&self.numbers()).await?;
        let set: PartitionSet = self.leases.keys().copied().collect();
        tracing::debug!(manager = M::NAME, partitions = set.len(), from = %self.scanned, "a share was taken over");
        Ok(self.runner.store.follow(set, From::Cursors(cursors)))
    }

    async fn take(&mut self, batch: FeedBatch) -> Result<(), Error> {
        if batch.generation != self.generation {
            return Err(Error::OtherGeneration);
        }
        let (issues, mut changes) = derive(&self.runner.manager, batch.events.iter().map(|event| &**event));
        for event in &batch.events {
            if let Err(error) = &event.event {
                let (partition, position) = (event.partition, event.position);
                tracing::warn!(manager = M::NAME, %position, %error, "an event can't be understood and is looked at again later");
                metrics::counter!("coulomb_process_events_put_off_total", "manager" => M::NAME).increment(1);
                changes.touched.insert(partition);
                changes.set(partition, self.look_again(event));
            }
        }
        for (issue, outcome) in perform_all(&self.runner.manager, issues).await {
            // Decided on the present state, which is newer than any event of the batch.
            if let Outcome::Again(due_at) = outcome {
                let Issue { partition, position, origin, task, .. } = issue;
                changes.set(partition, Waiting { due_at, position, origin, task });
            }
        }
        self.commit(changes, batch.upto).await?;
        self.scanned = batch.upto;
        Ok(())
    }

    /// Does what is due.
    async fn fire(&mut self) -> Result<(), Error> {
        let due = self.runner.tables.due::<M::Task>(&self.numbers(), Utc::now(), FIRE_MAX).await?;
        let ids = Ids::of::<M>();
        let (mut issues, mut changes) = self.look_at_put_off(&due).await;
        for Due { partition, name, waiting } in due {
            if waiting.task.looks_again_at().is_some() {
                continue;
            }
            let Waiting { due_at, position, origin, task } = waiting;
            let lag = (Utc::now() - due_at).as_seconds_f64().max(0.0);
            metrics::histogram!("coulomb_process_timer_delay_seconds", "manager" => M::NAME).record(lag);
            issues.push(Issue { partition, position, id: ids.of_timer(&name, due_at), origin, task });
            changes.cancel(partition, name);
        }
        for (issue, outcome) in perform_all(&self.runner.manager, issues).await {
            if let Outcome::Again(due_at) = outcome {
                let Issue { partition, position, origin, task, .. } = issue;
                changes.set(partition, Waiting { due_at, position, origin, task });
            }
        }
        if changes.is_empty() {
            self.next_due = self.runner.tables.next_due(&self.numbers()).await?;
            return Ok(());
        }
        self.commit(changes, self.scanned).await
    }

    /// A later version of the program may understand it: what follows from it is done then.
    fn look_again(&self, event: &RecordedEvent) -> Waiting<M::Task> {
        let position = event.position;
        let due_at = Utc::now() + self.runner.options.look_again_after;
        Waiting { due_at, position, origin: Origin::from(event), task: M::Task::look_again(position) }
    }

    /// What follows from events that could not be understood when they came, as far as they can be now.
    async fn look_at_put_off(&self, due: &[Due<M::Task>]) -> (Vec<Issue<M::Task>>, Changes<M::Task>) {
        let (mut issues, mut changes) = (vec![], Changes::none());
        for Due { partition, name, waiting } in due {
            let Some(position) = waiting.task.looks_again_at() else { continue };
            let read = self.runner.store.read_at(&[position]).await.map(|read| read.into_iter().next());
            match read {
                Ok(Some(event)) if event.event.is_ok() => {
                    tracing::info!(manager = M::NAME, %position, "an event is understood that was not before");
                    let (follows, sets) = derive(&self.runner.manager, [&event]);
                    issues.extend(follows);
                    changes.timers.extend(sets.timers);
                    changes.cancel(*partition, name.clone());
                }
                Ok(Some(event)) => changes.set(*partition, self.look_again(&event)),
                // It must stop nothing else. Where it is, it will be found later.
                Ok(None) | Err(_) => {
                    let due_at = Utc::now() + self.runner.options.look_again_after;
                    changes.set(*partition, Waiting { due_at, ..waiting.clone() });
                }
            }
        }
        (issues, changes)
    }

    /// Checkpoints of partitions of which nothing came, so that a successor need not look over it all again; and metrics.
    async fn keep_house(&mut self) -> Result<(), Error> {
        if self.scanned > self.settled {
            let touched = self.leases.keys().copied().collect();
            self.commit(Changes { touched, ..Changes::none() }, self.scanned).await?;
            self.settled = self.scanned;
        }
        let (head, _) = self.runner.store.head().await?;
        let pending = self.runner.tables.pending(&self.numbers()).await?;
        let overdue = self.next_due.map_or(0.0, |due_at| (Utc::now() - due_at).as_seconds_f64().max(0.0));
        metrics::gauge!("coulomb_process_lag_positions", "manager" => M::NAME).set((head.0 - self.scanned.0) as f64);
        metrics::gauge!("coulomb_process_timers_pending", "manager" => M::NAME).set(pending as f64);
        metrics::gauge!("coulomb_process_oldest_due_timer_seconds", "manager" => M::NAME).set(overdue);
        Ok(())
    }

    async fn commit(&mut self, changes: Changes<M::Task>, upto: Position) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let concerned = changes.timers.keys().map(|(partition, _)| *partition).chain(changes.touched.iter().copied());
        let concerned: std::collections::BTreeSet<_> = concerned.collect();
        let leases: Vec<Lease> = concerned.iter().filter_map(|partition| self.leases.get(partition).cloned()).collect();
        let commit = Commit { leases, changes, generation: self.generation, upto };
        self.next_due = self.runner.tables.commit(commit, &self.numbers()).await?;
        Ok(())
    }

    fn numbers(&self) -> Vec<i16> {
        self.leases.keys().map(|partition| i16::from(partition.number())).collect()
    }
}
