//! Making a build: begun or taken up again, loaded, indexed, joined.

use std::collections::HashSet;
use std::sync::Arc;

use pool::Pool;
use read_models::ModelFold;
use schema::digest::BlockDigest;
use schema::log::Position;
use schema::partition::Partition;
use schema::view::Model;
use sqlx::Row;
use sqlx::postgres::PgExecutor;
use uuid::Uuid;

use super::builds::{self, BuildState};
use super::guard::Guard;
use super::join::{self, JOIN_POSITIONS_MAX};
use super::load::load;
use super::progress::{Progress, Stage};
use super::{Error, Rebuilder, skipped};
use crate::worker::digests::{Digests, Running};

/// A build that has been made, and has joined.
#[derive(Debug, Clone, Copy)]
pub struct Built {
    pub model: Model,
    /// Of its model.
    pub number: i32,
    pub fold_version: u32,
    /// Of the log, when it joined: everything up to here is in it as in the live one.
    pub position: Position,
    /// It was there, and has been gone on with.
    pub resumed: bool,
}

/// The making of a build by this process.
#[derive(Clone)]
pub(super) struct Job {
    pub model: Model,
    pub fold: Arc<dyn ModelFold>,
    pub build_id: i64,
    pub number: i32,
    /// Names this process in each of its commits.
    pub rebuilder: Uuid,
}

impl Rebuilder {
    /// Makes a build with the newest fold of the program beside the live one, or goes on with one that was begun, until it
    /// is kept current together with the live one.
    ///
    /// # Errors
    /// Whatever goes wrong: what was built up to the last checkpoint is kept, and another call goes on from there.
    pub async fn build(&self, model: Model, progress: &Progress) -> Result<Built, Error> {
        let guard = Guard::take(self, model).await?;
        let built = self.build_alone(model, progress).await;
        guard.release().await;
        built
    }

    async fn build_alone(&self, model: Model, progress: &Progress) -> Result<Built, Error> {
        let (job, resumed) = self.begin(model).await?;
        let positions = job.positions(&self.pool).await?;
        let at = positions.iter().map(|(_, position)| *position).min().unwrap_or_default();
        progress.began(at);
        progress.enter(Stage::Loading);
        load(self, &job, self.reached().await?, progress).await?;
        progress.enter(Stage::Indexing);
        self.index(&job).await?;
        let position = loop {
            progress.enter(Stage::CatchingUp);
            let upto = self.reached().await?;
            load(self, &job, upto, progress).await?;
            // What came while it was read is the less each time, unless the log grows faster than it can be read.
            if self.reached().await?.0 - upto.0 > JOIN_POSITIONS_MAX {
                continue;
            }
            progress.enter(Stage::Joining);
            if let Some(position) = join::join(self, &job, progress).await? {
                break position;
            }
        };
        skipped::repeat(self, &job).await?;
        progress.read(position);
        progress.enter(Stage::Joined);
        Ok(Built { model, number: job.number, fold_version: job.fold.version(), position, resumed })
    }

    /// How far the live build is, of every partition: no build goes further before it joins.
    async fn reached(&self) -> Result<Position, Error> {
        let position = sqlx::query_scalar("SELECT position FROM views.reached()").persistent(false);
        Ok(Position(position.fetch_one(&self.pool).await?))
    }

    pub(super) async fn begin(&self, model: Model) -> Result<(Job, bool), Error> {
        let fold = self.folds.newest(model).clone();
        let (build_id, resumed) = loop {
            let there = builds::read(&self.pool, Some(model)).await?;
            match there.into_iter().find(|build| build.state != BuildState::Live) {
                None => {
                    let statement = sqlx::query_scalar("SELECT views.begin_build($1, $2)").bind(model.name());
                    let begun = statement.bind(version(&fold)).persistent(false).fetch_one(&self.pool).await;
                    match begun {
                        // Of one that was killed, whose statement has come to its end since.
                        Err(error) if is_there(&error) => {}
                        begun => break (begun?, false),
                    }
                }
                Some(build) if build.state == BuildState::Joined => {
                    return Err(Error::AlreadyJoined { model, number: build.number });
                }
                Some(build) if build.fold_version != version(&fold) => {
                    let (number, version) = (build.number, build.fold_version);
                    return Err(Error::OtherVersion { model, number, version, newest: fold.version() });
                }
                Some(build) => break (build.id, true),
            }
        };
        let rebuilder = Uuid::now_v7();
        let row = sqlx::query(include_str!("take_over.sql")).bind(build_id).bind(rebuilder).persistent(false);
        let row = row.fetch_one(&self.pool).await?;
        let number = row.try_get(0)?;
        if row.try_get(1)? {
            return Err(Error::AheadOfLog { model, number });
        }
        Ok((Job { model, fold, build_id, number, rebuilder }, resumed))
    }

    /// The indexes of the live table, one after the other; those that are there are not made again.
    pub(super) async fn index(&self, job: &Job) -> Result<(), Error> {
        // One that was killed may have left the server at an index, which nobody sees before it is made: it is waited for. A
        // transaction for each index would have it thrown away.
        let lock = format!("LOCK TABLE shadow.{} IN SHARE UPDATE EXCLUSIVE MODE", job.model.name());
        let mut transaction = self.pool.begin().await?;
        sqlx::query(&lock).persistent(false).execute(&mut *transaction).await?;
        transaction.commit().await?;
        loop {
            let statement = sqlx::query_scalar("SELECT views.index_shadow($1)").bind(job.model.name());
            let made: Option<String> = statement.persistent(false).fetch_one(&self.pool).await?;
            if made.is_none() {
                break;
            }
        }
        let analyze = format!("ANALYZE shadow.{}", job.model.name());
        sqlx::query(&analyze).persistent(false).execute(&self.pool).await?;
        Ok(())
    }
}

fn version(fold: &Arc<dyn ModelFold>) -> i32 {
    i32::try_from(fold.version()).unwrap_or(i32::MAX)
}

impl Job {
    /// Up to where each partition of the build is committed.
    pub async fn positions(&self, pool: &Pool) -> Result<Vec<(Partition, Position)>, Error> {
        let statement = "SELECT partition, position FROM views.build_progress WHERE build_id = $1 ORDER BY partition";
        let rows: Vec<(i16, i64)> =
            sqlx::query_as(statement).bind(self.build_id).persistent(false).fetch_all(pool).await?;
        let known = rows.into_iter().filter_map(|(number, position)| {
            let partition = u8::try_from(number).ok().and_then(Partition::new)?;
            Some((partition, Position(position)))
        });
        Ok(known.collect())
    }

    /// What it has consumed up to there.
    pub async fn digests(&self, pool: &Pool) -> Result<Digests, Error> {
        let statement = sqlx::query(include_str!("digests.sql")).bind(self.build_id).persistent(false);
        let mut digests = Digests::default();
        for row in statement.fetch_all(pool).await? {
            let (number, position): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
            let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) else { continue };
            let stored = match position {
                0 => Running::Known(BlockDigest::of(0)),
                _ => Running::stored(row.try_get(2)?, row.try_get(3)?, row.try_get(4)?),
            };
            digests.insert(partition, Position(position), stored);
        }
        Ok(digests)
    }

    /// The keys that stand still in it.
    pub async fn parked(&self, executor: impl PgExecutor<'_>) -> Result<HashSet<Uuid>, Error> {
        let statement = "SELECT partition_key FROM views.parked_keys WHERE build_id = $1";
        let keys: Vec<Uuid> =
            sqlx::query_scalar(statement).bind(self.build_id).persistent(false).fetch_all(executor).await?;
        Ok(keys.into_iter().collect())
    }
}

/// Whether a build could not be begun because there is one.
fn is_there(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "CV011")
}
