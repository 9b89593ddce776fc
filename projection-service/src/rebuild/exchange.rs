//! A build takes the live one's place, by an event of the log, in one transaction.

use std::sync::Arc;
use std::time::Duration;

use domain::envelope::{Actor, Envelope};
use domain::id::TenantId;
use domain::read_model::{ReadModel, ReadModelCommand};
use event_store::Appended;
use pool::Connection;
use schema::log::Position;
use schema::view::Model;
use serde::Serialize;
use sqlx::Row;
use tokio::time::Instant;

use super::builds::{self, Build};
use super::compare::pair;
use super::guard::Guard;
use super::{Error, Rebuilder};
use crate::worker::tail;

/// Positions that may lie between the read models and the log when the workers are made to wait.
const LAG_MAX: i64 = 2_000;
/// For the workers to come so near to the log.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// For those who read the table to make room.
const READERS_WAIT_S: u64 = 5;
/// Attempts, of which each but the last met something that passes.
const ATTEMPTS: u32 = 5;
/// SQLSTATE of a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Which of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Swap,
    RollBack,
}

/// An exchange that has happened.
#[derive(Debug, Clone, Serialize)]
pub struct Exchanged {
    pub model: &'static str,
    /// The build that served, and is kept current.
    pub from: i32,
    /// The build that serves.
    pub to: i32,
    /// Of the event.
    pub position: Position,
    /// Rows whose content was changed by it; they have its position. None: not known, the answer was lost.
    pub rows: Option<i64>,
}

impl Rebuilder {
    /// Lets the build serve that has joined. `with_parked`: even if keys of it stand still.
    ///
    /// # Errors
    /// Nothing is changed then, and if the log says that it happened, it also says that it did not.
    pub async fn swap(&self, model: Model, with_parked: bool) -> Result<Exchanged, Error> {
        self.exchange(model, Way::Swap, with_parked).await
    }

    /// Lets the build serve again that served before.
    ///
    /// # Errors
    /// As [`swap`](Self::swap).
    pub async fn roll_back(&self, model: Model, with_parked: bool) -> Result<Exchanged, Error> {
        self.exchange(model, Way::RollBack, with_parked).await
    }

    async fn exchange(&self, model: Model, way: Way, with_parked: bool) -> Result<Exchanged, Error> {
        let guard = Guard::take(self, model).await?;
        let mut attempt = 1;
        let exchanged = loop {
            match self.attempt(model, way, with_parked).await {
                Err(Error::Passing(why)) if attempt < ATTEMPTS => {
                    tracing::info!(why, "an exchange is tried again");
                    attempt += 1;
                }
                ended => break ended,
            }
        };
        guard.release().await;
        exchanged
    }

    async fn attempt(&self, model: Model, way: Way, with_parked: bool) -> Result<Exchanged, Error> {
        let mut connection = self.connect().await?;
        self.attempt_on(&mut connection, model, way, with_parked).await
    }

    async fn attempt_on(
        &self,
        connection: &mut Connection<'_>,
        model: Model,
        way: Way,
        with_parked: bool,
    ) -> Result<Exchanged, Error> {
        let (live, shadow) = pair(builds::read(&mut *connection, Some(model)).await?, model)?;
        check(&live, &shadow, way, with_parked)?;
        self.until_near().await?;
        let before = reached(connection).await?;
        run(connection, model, include_str!("candidates.sql"), None).await?;

        let mut transaction = connection.begin().await?;
        let prepared = sqlx::query(include_str!("prepare.sql")).bind(format!("{READERS_WAIT_S}s")).persistent(false);
        prepared.execute(&mut *transaction).await?;
        sqlx::query("SELECT views.end_runs()").persistent(false).execute(&mut *transaction).await?;
        let (live, shadow) = pair(builds::read(&mut *transaction, Some(model)).await?, model)?;
        check(&live, &shadow, way, with_parked)?;
        if reached(&mut transaction).await?.1 != before.1 {
            return Err(Error::Passing("the log has begun another generation"));
        }

        let position = self.append(model, number(&live), way.command(&live, &shadow)).await?;
        let done = async {
            tail::catch_up(&mut transaction, (&self.pool, &self.store), &self.folds, position).await?;
            run(&mut transaction, model, include_str!("candidates_since.sql"), Some(before.0)).await?;
            let rows = exchange(&mut transaction, &live, &shadow, position).await?;
            transaction.commit().await?;
            Ok::<i64, Error>(rows)
        };
        let exchanged = Exchanged { model: model.name(), from: live.number, to: shadow.number, position, rows: None };
        match done.await {
            Ok(rows) => Ok(Exchanged { rows: Some(rows), ..exchanged }),
            // The connection may have been lost with the commit under way.
            Err(_) if self.has_happened(&shadow, position).await? => Ok(exchanged),
            Err(error) => {
                let (from_build, to_build) = (number(&live), number(&shadow));
                let abandon = ReadModelCommand::Abandon { model: model.name().to_owned(), from_build, to_build };
                self.append(model, from_build, abandon).await?;
                Err(error)
            }
        }
    }

    /// Waits until the workers have little left to do, so that the rest takes no time while they wait for us.
    async fn until_near(&self) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let lag = "SELECT h.position - r.position FROM log_head h, views.reached() r";
            let lag: i64 = sqlx::query_scalar(lag).persistent(false).fetch_one(&self.pool).await?;
            if lag <= LAG_MAX {
                return Ok(());
            }
            if began.elapsed() > WAIT_MAX {
                return Err(Error::TooFarBehind { lag });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// `serves`: the build that serves now. Should the log say that another one does, which took its place last, then somebody
    /// was killed between the event and the exchange: that is taken back first.
    async fn append(&self, model: Model, serves: u32, command: ReadModelCommand) -> Result<Position, Error> {
        let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("projections")));
        let stream = ReadModel::stream_id(model.name());
        let (decided, appended) = self
            .store
            .run(&envelope, move |session| {
                let command = command.clone();
                Box::pin(async move {
                    let ReadModel { live, before } = session.load::<ReadModel>(stream).await?.clone();
                    if let (Some(to_build), Some(from_build)) = (live, before)
                        && from_build == serves
                    {
                        let abandon =
                            ReadModelCommand::Abandon { model: model.name().to_owned(), from_build, to_build };
                        if let Err(refusal) = session.decide::<ReadModel>(stream, stream, abandon).await? {
                            return Ok(Err(refusal));
                        }
                    }
                    session.decide::<ReadModel>(stream, stream, command).await
                })
            })
            .await?;
        decided?;
        Ok(appended.as_ref().map(Appended::position).unwrap_or_default())
    }

    async fn has_happened(&self, shadow: &Build, position: Position) -> Result<bool, Error> {
        let statement = "SELECT EXISTS (SELECT FROM views.builds WHERE build_id = $1 AND live_since_position = $2)";
        let happened = sqlx::query_scalar(statement).bind(shadow.id).bind(position.0).persistent(false);
        Ok(happened.fetch_one(&self.pool).await?)
    }
}

impl Way {
    fn command(self, live: &Build, shadow: &Build) -> ReadModelCommand {
        let (model, from_build, to_build) = (live.model.name().to_owned(), number(live), number(shadow));
        match self {
            Self::Swap => ReadModelCommand::Swap { model, from_build, to_build },
            Self::RollBack => ReadModelCommand::RollBack { model, from_build, to_build },
        }
    }
}

fn number(build: &Build) -> u32 {
    build.number.unsigned_abs()
}

fn check(live: &Build, shadow: &Build, way: Way, with_parked: bool) -> Result<(), Error> {
    let (model, number) = (live.model, shadow.number);
    match (way, shadow.live_since_position) {
        (Way::Swap, Some(_)) => return Err(Error::ServedBefore { model, number }),
        (Way::RollBack, None) => return Err(Error::NeverLive { model, number }),
        (Way::Swap, None) | (Way::RollBack, Some(_)) => {}
    }
    if shadow.parked_keys > 0 && !with_parked {
        return Err(Error::Parked { model, number, keys: shadow.parked_keys });
    }
    Ok(())
}

/// Where the read models are, and of which generation.
async fn reached(connection: &mut Connection<'_>) -> Result<(Position, i64), Error> {
    let statement = sqlx::query("SELECT r.position, h.generation FROM views.reached() r, log_head h").persistent(false);
    let row = statement.fetch_one(connection).await?;
    Ok((Position(row.try_get(0)?), row.try_get(1)?))
}

/// Answers how many rows it touched.
async fn run(
    connection: &mut Connection<'_>,
    model: Model,
    text: &str,
    position: Option<Position>,
) -> Result<i64, Error> {
    let text = text.replace("{model}", model.name());
    let statement = sqlx::query(&text).persistent(false);
    let statement = match position {
        Some(position) => statement.bind(position.0),
        None => statement,
    };
    Ok(statement.execute(connection).await?.rows_affected() as i64)
}

/// The shadow's rows get their positions, and it becomes the live table. Answers how many have that of the event.
async fn exchange(
    connection: &mut Connection<'_>,
    live: &Build,
    shadow: &Build,
    position: Position,
) -> Result<i64, Error> {
    let model = live.model;
    let mut rows = 0;
    for text in [include_str!("replaced.sql"), include_str!("gone.sql")] {
        rows += run(connection, model, text, Some(position)).await?;
    }
    run(connection, model, include_str!("unchanged.sql"), None).await?;
    // What was, for looking back.
    let kept = sqlx::query("SELECT history.keep_replaced($1, $2)").bind(model.name()).bind(position.0);
    kept.persistent(false).execute(&mut *connection).await?;
    // Readers wait from here on, and not before.
    let exchanged = sqlx::query("SELECT views.exchange($1)").bind(model.name()).persistent(false);
    exchanged.execute(&mut *connection).await.map_err(|error| {
        match error.as_database_error().and_then(|error| error.code()).as_deref() {
            Some(LOCK_NOT_AVAILABLE) => Error::Readers { model, seconds: READERS_WAIT_S },
            _ => error.into(),
        }
    })?;
    let builds = sqlx::query("SELECT views.exchange_builds($1, $2, $3), pg_notify('coulomb_views', $3::text)");
    builds.bind(live.id).bind(shadow.id).bind(position.0).persistent(false).execute(connection).await?;
    Ok(rows)
}
