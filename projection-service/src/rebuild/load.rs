//! Reading the log and filling the table, in tasks that each have some of the partitions.

use std::sync::Arc;

use event_store::bulk::BulkRow;
use pool::Connection;
use schema::log::Position;
use schema::partition::Partition;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::job::Job;
use super::part::Part;
use super::progress::Progress;
use super::skipped::Skipped;
use super::source::Source;
use super::table::Table;
use super::{Error, Limits, Rebuilder};
use crate::worker::digests::{self, Running};

/// Ranges that wait for a task.
const WAITING_MAX: usize = 2;

/// A range of the log, for one task.
struct Share {
    upto: Position,
    rows: Vec<BulkRow>,
}

/// Folds everything up to a position that the build does not have yet.
pub(super) async fn load(rebuilder: &Rebuilder, job: &Job, upto: Position, progress: &Progress) -> Result<(), Error> {
    match load_with(rebuilder, job, upto, progress, false).await {
        // From the last checkpoint on. That something can't be applied is rare.
        Err(Error::StartOver) => load_with(rebuilder, job, upto, progress, true).await,
        ended => ended,
    }
}

async fn load_with(
    rebuilder: &Rebuilder,
    job: &Job,
    upto: Position,
    progress: &Progress,
    careful: bool,
) -> Result<(), Error> {
    let positions = job.positions(&rebuilder.pool).await?;
    let Some(at) = positions.iter().map(|(_, position)| *position).min().filter(|at| *at < upto) else {
        return Ok(());
    };
    progress.aim(upto);
    let parked = job.parked(&rebuilder.pool).await?;
    let digests = job.digests(&rebuilder.pool).await?;
    let skipped = Arc::new(Skipped::read(&rebuilder.store, job.model).await?);
    let Limits { tasks, range_positions, rows, checkpoint_positions } = rebuilder.limits;
    let mut running = JoinSet::new();
    let mut senders = vec![];
    for number in 0..tasks {
        let own = |partition: &Partition| usize::from(partition.number()) % tasks == number;
        let at = positions.iter().copied().filter(|(partition, _)| own(partition));
        let part = Part::new(job.fold.clone(), Table::of(job.model), rows, at)
            .with_parked(parked.clone(), careful)
            .without(Arc::clone(&skipped))
            .with_digests(digests.of(own));
        let (sender, shares) = mpsc::channel(WAITING_MAX);
        senders.push(sender);
        let (connection, job, progress) = (rebuilder.connect().await?, job.clone(), progress.clone());
        let task = Task { connection, job, progress, part, checkpoint_positions };
        running.spawn(task.run(shares));
    }
    let source =
        Source::new((rebuilder.store.clone(), rebuilder.connect().await?), job.model, range_positions, at, upto);
    let read = hand_out(source, &senders, progress).await;
    drop(senders);
    // What went wrong in a task is why nothing more could be handed to it.
    let mut ended = Ok(());
    while let Some(task) = running.join_next().await {
        let task = task.map_err(Error::from).and_then(|task| task);
        ended = ended.and(task);
    }
    ended.and(read)
}

async fn hand_out(mut source: Source, tasks: &[mpsc::Sender<Share>], progress: &Progress) -> Result<(), Error> {
    while let Some((upto, shares)) = source.next(tasks.len()).await? {
        for (task, rows) in tasks.iter().zip(shares) {
            if task.send(Share { upto, rows }).await.is_err() {
                return Ok(());
            }
        }
        progress.read(upto);
    }
    Ok(())
}

struct Task {
    connection: Connection<'static>,
    job: Job,
    progress: Progress,
    part: Part,
    checkpoint_positions: i64,
}

impl Task {
    async fn run(mut self, mut shares: mpsc::Receiver<Share>) -> Result<(), Error> {
        let mut committed = self.part.at().map(|(_, at)| at).max().unwrap_or_default();
        let mut at = committed;
        while let Some(Share { upto, rows }) = shares.recv().await {
            let events = self.part.take(&mut self.connection, &rows).await?;
            self.part.advance(upto);
            self.progress.took(events);
            at = upto;
            if self.part.is_full() || at.0 - committed.0 >= self.checkpoint_positions {
                self.checkpoint().await?;
                committed = at;
            }
        }
        if at > committed {
            self.checkpoint().await?;
        }
        Ok(())
    }

    /// Rows and where the partitions are, in one transaction.
    async fn checkpoint(&mut self) -> Result<(), Error> {
        let mut transaction = self.connection.begin().await?;
        own(&mut transaction, &self.job).await?;
        let rows = self.part.write(&mut transaction, self.job.build_id).await?;
        digests::consume(&mut transaction, self.job.build_id, &self.part.ended()).await?;
        let (partitions, positions): (Vec<i16>, Vec<i64>) =
            self.part.at().map(|(partition, at)| (i16::from(partition.number()), at.0)).unzip();
        let running: Vec<Running> =
            self.part.at().filter_map(|(partition, _)| self.part.digest(partition)).copied().collect();
        let (events, digests): (Vec<i32>, Vec<Option<Vec<u8>>>) = running.iter().map(Running::columns).unzip();
        let statement = sqlx::query(include_str!("checkpoint.sql")).bind(self.job.build_id).bind(partitions);
        let statement = statement.bind(positions).bind(running.iter().map(Running::block).collect::<Vec<_>>());
        statement.bind(events).bind(digests).persistent(false).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.progress.wrote(rows);
        Ok(())
    }
}

/// Asserts, until the end of the transaction, that the build is still being made, and by us.
pub(super) async fn own(connection: &mut Connection<'_>, job: &Job) -> Result<(), Error> {
    let rebuilder: Option<Option<Uuid>> = sqlx::query_scalar(include_str!("own.sql"))
        .bind(job.build_id)
        .persistent(false)
        .fetch_optional(connection)
        .await?;
    if rebuilder.flatten() == Some(job.rebuilder) { Ok(()) } else { Err(Error::TakenOver(job.model)) }
}
