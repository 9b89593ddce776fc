//! One flush: the call, and what to do when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool::{Connection, Pool};
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::partition;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::append::{self, Append, Appended};
use crate::lane::columns::Columns;
use crate::lane::notice::Notices;
use crate::lane::verdict::Verdicts;
use crate::lane::{Pending, recall};
use crate::lineage::Era;
use crate::options::StoreOptions;
use crate::ranges;
use crate::tail::{Stretch, Tail};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tried before it is trusted with appends that can't be repeated.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);
/// After a flush that had a loser, so many are made exclusively: where others write to the same streams, that saves the
/// first try.
const EXCLUSIVE_AFTER_RACE: u32 = 16;
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

pub(super) struct Flusher {
    pool: Pool,
    connection: Option<Connection<'static>>,
    used: Instant,
    /// Where the head was when the last flush on this connection took it.
    near: Option<Position>,
    exclusive_flushes: u32,
    options: StoreOptions,
    tail: Tail,
    era: Era,
    /// None: nobody else is to be told.
    notices: Option<Notices>,
}

/// Why a call failed, and hence what is known of its batch.
enum Failure {
    /// An append of the batch loses, and which one is to be decided exclusively. Rolled back.
    Raced(sqlx::Error),
    /// The head ran out of position ranges. Rolled back.
    NoRange(sqlx::Error),
    /// Something in the batch is not to the server's liking. Rolled back.
    Rejected(sqlx::Error),
    /// The server can't now. Rolled back, or never sent.
    Later(sqlx::Error),
    /// It is not known whether the log has all that it had: nothing is taken before that. Rolled back.
    Halted(sqlx::Error),
    /// The log is of this generation, and not of that which was known. Rolled back.
    OtherGeneration(Generation, sqlx::Error),
    /// The connection was lost, or ended by the server, while the call was under way.
    Unknown(sqlx::Error),
}

impl Failure {
    /// An error that came back from a call. What the server reports as an ERROR was rolled back; a FATAL one may have
    /// come after the commit.
    fn of(error: sqlx::Error) -> Self {
        let Some(reported) = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        else {
            return Self::Unknown(error);
        };
        if matches!(reported.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
            return Self::Unknown(error);
        }
        match reported.code() {
            "40001" | "40P01" => Self::Raced(error),
            "23514" => Self::NoRange(error),
            "CL001" | "CL003" => Self::Halted(error),
            "CL002" => match reported.detail().and_then(|generation| generation.parse().ok()) {
                Some(generation) => Self::OtherGeneration(Generation(generation), error),
                None => Self::Halted(error),
            },
            // Read-only: a node that was the primary. Shutting down, out of resources, locks, a cancelled statement.
            code if code == "25006" || ["53", "55", "57", "58"].iter().any(|class| code.starts_with(class)) => {
                Self::Later(error)
            }
            _ => Self::Rejected(error),
        }
    }

    fn into_error(self) -> sqlx::Error {
        match self {
            Self::Raced(error)
            | Self::NoRange(error)
            | Self::Rejected(error)
            | Self::Later(error)
            | Self::Halted(error)
            | Self::OtherGeneration(_, error)
            | Self::Unknown(error) => error,
        }
    }
}

impl Flusher {
    pub fn new(pool: Pool, options: StoreOptions, tail: Tail, era: Era, notices: Option<Notices>) -> Self {
        let used = Instant::now();
        Self { pool, connection: None, used, near: None, exclusive_flushes: 0, options, tail, era, notices }
    }

    /// Sees every append of the batch to its answer.
    pub async fn flush(&mut self, batch: Vec<Pending>) {
        let mut batches = vec![batch];
        while let Some(batch) = batches.pop() {
            batches.extend(self.settle(batch).await);
        }
    }

    /// Answers the batch; one that the server rejects comes back in halves, so that only the culprit is refused.
    async fn settle(&mut self, mut batch: Vec<Pending>) -> Vec<Vec<Pending>> {
        let give_up_at = Instant::now() + self.options.retry_for;
        let mut exclusive = self.exclusive_flushes > 0;
        self.exclusive_flushes = self.exclusive_flushes.saturating_sub(1);
        let mut pause = PAUSE_MIN;
        batch = self.of_this_generation(batch).await;
        while !batch.is_empty() {
            let failure = match self.call(&batch, exclusive).await {
                Ok(verdicts) => {
                    self.tell();
                    self.answer(batch, &verdicts).await;
                    break;
                }
                Err(failure) => failure,
            };
            match &failure {
                Failure::Raced(_) if !exclusive => {
                    metrics::counter!("coulomb_append_races_total").increment(1);
                    exclusive = true;
                    self.exclusive_flushes = EXCLUSIVE_AFTER_RACE;
                    continue;
                }
                Failure::Rejected(_) if batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    return vec![second, batch];
                }
                Failure::OtherGeneration(generation, _) => {
                    self.era.learn(*generation);
                    batch = self.of_this_generation(batch).await;
                    continue;
                }
                Failure::Halted(error) => match went_back(error) {
                    true => self.era.went_back(),
                    false => self.era.look(),
                },
                Failure::NoRange(_) => self.make_ranges().await,
                Failure::Later(_) => self.connection = None,
                Failure::Unknown(_) => {
                    self.connection = None;
                    self.tell();
                    batch.iter_mut().for_each(|pending| pending.uncertain = true);
                }
                Failure::Raced(_) | Failure::Rejected(_) => {}
            }
            let over = Instant::now() >= give_up_at || matches!(failure, Failure::Rejected(_));
            let error = Arc::new(failure.into_error());
            tracing::warn!(appends = batch.len(), %error, over, "a flush failed");
            let may_repeat = |pending: &Pending| !over && (!pending.uncertain || pending.append.is_repeatable());
            let (again, given_up): (Vec<_>, Vec<_>) = batch.into_iter().partition(may_repeat);
            for pending in given_up {
                let source = Arc::clone(&error);
                let refusal = if pending.uncertain {
                    append::Error::UnknownOutcome(source)
                } else {
                    append::Error::Unavailable(source)
                };
                pending.answer(Err(refusal));
            }
            batch = again;
            if !batch.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        vec![]
    }

    async fn call(&mut self, batch: &[Pending], exclusive: bool) -> Result<Verdicts, Failure> {
        self.ensure_connected().await.map_err(Failure::Later)?;
        let timeout = self.options.flush_timeout;
        // Taken out, so that a call that is given up takes its connection with it.
        let Some(mut connection) = self.connection.take() else {
            return Err(Failure::Later(sqlx::Error::PoolClosed));
        };
        let started = Instant::now();
        let known = (self.era.generation(), self.era.furthest_in(self.era.generation()));
        let statement = Columns::of(batch.iter().map(|pending| &pending.append)).statement(exclusive, self.near, known);
        let called = tokio::time::timeout(timeout, statement.fetch_one(&mut connection));
        let row = match called.await {
            Ok(row) => row,
            Err(_) => return Err(Failure::Unknown(sqlx::Error::PoolTimedOut)),
        };
        self.used = Instant::now();
        metrics::histogram!("coulomb_append_flush_seconds").record(started.elapsed());
        metrics::histogram!("coulomb_append_batch_appends").record(batch.len() as f64);
        let verdicts = row.and_then(|row| Verdicts::read(&row)).map_err(Failure::of);
        self.near = verdicts.as_ref().ok().map(|verdicts| verdicts.base);
        self.connection = Some(connection);
        verdicts
    }

    /// Other processes, that the log may have gone on.
    fn tell(&self) {
        if let Some(notices) = &self.notices {
            notices.tell();
        }
    }

    async fn ensure_connected(&mut self) -> Result<(), sqlx::Error> {
        if let Some(connection) = &mut self.connection
            && self.used.elapsed() > TRUSTED_IDLE
            && tokio::time::timeout(CONNECT_WITHIN, connection.ping()).await.is_ok_and(|ping| ping.is_ok())
        {
            self.used = Instant::now();
        }
        let left_behind = self.connection.as_ref().is_some_and(Connection::is_left_behind);
        if self.connection.is_none() || left_behind || self.used.elapsed() > TRUSTED_IDLE {
            self.connection = None;
            self.near = None;
            let connection = tokio::time::timeout(CONNECT_WITHIN, self.pool.connect());
            self.connection = Some(connection.await.map_err(|_| sqlx::Error::PoolTimedOut)??);
            self.used = Instant::now();
        }
        Ok(())
    }

    /// The caretaker should have made them long ago.
    async fn make_ranges(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        tracing::warn!("the head ran out of position ranges");
        if let Err(error) = ranges::make_ahead(connection, &self.options).await {
            tracing::error!(%error, "no position range can be made");
        }
    }

    async fn answer(&mut self, batch: Vec<Pending>, verdicts: &Verdicts) {
        let mut outcomes = verdicts.outcomes(batch.iter().map(|pending| &pending.append));
        if self.tail.is_followed() {
            let events = recorded(&batch, &outcomes, verdicts);
            let upto = events.last().map_or(verdicts.base, |event| event.position);
            let bytes = batch.iter().map(|pending| pending.weight_bytes).sum();
            self.tail.publish(verdicts.generation, Stretch { after: verdicts.base, upto, events, bytes });
        }
        let upto = outcomes.iter().flatten().map(Appended::position).max().unwrap_or_default();
        self.era.saw(verdicts.generation, upto.max(verdicts.base));
        for (pending, outcome) in batch.iter().zip(&mut outcomes) {
            let is_committed = matches!(outcome, Ok(Appended::Committed { .. }));
            if pending.uncertain && !is_committed {
                self.recall(&pending.append, outcome).await;
            }
        }
        for (pending, outcome) in batch.into_iter().zip(outcomes) {
            pending.answer(outcome);
        }
    }

    /// Gives those back that were decided on another generation than the log's: what they found there may be lost.
    async fn of_this_generation(&mut self, batch: Vec<Pending>) -> Vec<Pending> {
        let generation = self.era.generation();
        let is_of_another = |pending: &Pending| pending.generation.is_some_and(|of| of != generation);
        if !batch.iter().any(is_of_another) {
            return batch;
        }
        let (others, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_of_another);
        for pending in others {
            let mut outcome = Err(append::Error::OtherGeneration);
            if pending.uncertain {
                self.recall(&pending.append, &mut outcome).await;
            }
            pending.answer(outcome);
        }
        rest
    }

    /// The first try of an append may have been committed, which then refused the second one.
    async fn recall(&mut self, append: &Append, outcome: &mut Result<Appended, append::Error>) {
        let Some(connection) = &mut self.connection else { return };
        match recall::committed(connection, append).await {
            Ok(Some(committed)) => *outcome = Ok(committed),
            Ok(None) => {}
            // A replay's answer is as good as the first.
            Err(_) if outcome.is_ok() => self.connection = None,
            Err(error) => {
                self.connection = None;
                *outcome = Err(append::Error::UnknownOutcome(Arc::new(error)));
            }
        }
    }
}

/// Whether the log ends before where it was seen.
fn went_back(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("CL003")
}

impl Pending {
    fn answer(self, outcome: Result<Appended, append::Error>) {
        metrics::histogram!("coulomb_append_seconds").record(self.submitted.elapsed());
        let word = match &outcome {
            Ok(Appended::Committed { .. }) => "committed",
            Ok(Appended::Replayed { .. }) => "replayed",
            Err(append::Error::Conflict { .. }) => "conflict",
            Err(append::Error::Fenced { .. }) => "fenced",
            Err(append::Error::KeyReused) => "key_reused",
            Err(append::Error::OtherGeneration) => "other_generation",
            Err(_) => "failed",
        };
        metrics::counter!("coulomb_appends_total", "outcome" => word).increment(1);
        // Nobody may be waiting any more: a cancelled caller doesn't cancel its append.
        let _ = self.reply.send(outcome);
    }
}

/// The committed events of a batch as a reader would find them: there is no need to read back what one has in hand.
fn recorded(
    batch: &[Pending],
    outcomes: &[Result<Appended, append::Error>],
    verdicts: &Verdicts,
) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    let mut position = verdicts.base;
    for (pending, outcome) in batch.iter().zip(outcomes) {
        let Ok(Appended::Committed { versions, .. }) = outcome else { continue };
        for (write, version) in pending.append.writes.iter().zip(versions) {
            let before = version - write.events.len() as i64;
            for (nth, event) in (1..).zip(&write.events) {
                position = Position(position.0 + 1);
                events.push(Arc::new(RecordedEvent {
                    position,
                    generation: verdicts.generation,
                    partition: partition(event.partition_key),
                    partition_key: event.partition_key,
                    stream: write.stream,
                    sequence: before + nth,
                    event_id: event.event_id,
                    event_type: event.event_type.to_owned(),
                    event_version: event.event_version.to_owned(),
                    retention: event.retention,
                    recorded_at: verdicts.recorded_at,
                    envelope: Arc::clone(&event.envelope),
                    payload_hash: event.payload_hash,
                    event: Ok(Arc::clone(&event.event)),
                }));
            }
        }
    }
    events
}
