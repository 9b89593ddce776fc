use schema::log::Position;
use schema::view::Model;

/// What kept a build from being made, compared or exchanged. The live read model is as before, and what was built so far
/// is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the database was lost or refused: nothing half-done was kept; run the command again to go on where it was"
    )]
    Database(#[source] sqlx::Error),
    #[error(
        "the database's disk is full: what was built up to the last checkpoint is kept. Make room and run `rebuild` again, \
         or give the room back with `drop`"
    )]
    DiskFull(#[source] sqlx::Error),
    #[error("the log can't be read; run the command again to go on where it was")]
    Log(#[from] event_store::read::Error),
    #[error("another process is at work on {}: wait until it has ended, or end it", .0.name())]
    Busy(Model),
    #[error("another process has taken the making of {} over: nothing more was written", .0.name())]
    TakenOver(Model),
    #[error(
        "{} has build {number} of fold version {version} beside the live one, this program would make one of version {newest}: \
         `drop` it first",
        model.name()
    )]
    OtherVersion { model: Model, number: i32, version: i32, newest: u32 },
    #[error("build {number} of {} is made and kept current: `compare`, `swap` or `drop` it", model.name())]
    AlreadyJoined { model: Model, number: i32 },
    #[error("{} has no build beside the live one: `rebuild` makes one", .0.name())]
    NoShadow(Model),
    #[error("build {number} of {} is not finished: `rebuild` goes on with it", model.name())]
    NotJoined { model: Model, number: i32 },
    #[error("build {number} of {} never was live: there is nothing to go back to; `swap` lets it serve", model.name())]
    NeverLive { model: Model, number: i32 },
    #[error(
        "build {number} of {} served before: `rollback` lets it serve again, `drop` throws it away",
        model.name()
    )]
    ServedBefore { model: Model, number: i32 },
    #[error(
        "build {number} of {} has {keys} parked keys, whose rows would stand still: `parked` shows them, --with-parked swaps all \
         the same",
        model.name()
    )]
    Parked { model: Model, number: i32, keys: i64 },
    #[error("this program has no fold of version {version} for {}, of which build {number} is made", model.name())]
    NoFold { model: Model, number: i32, version: i32 },
    #[error(
        "build {number} of {} has consumed other events of partition {partition} than the live one: `verify` says what is wrong; \
         then `drop` it and build it anew. Nothing was changed",
        model.name()
    )]
    OtherEvents { model: Model, number: i32, partition: i16 },
    #[error(
        "build {number} of {} is ahead of the log, which has lost its end since: `drop` it and build it anew",
        model.name()
    )]
    AheadOfLog { model: Model, number: i32 },
    #[error(
        "the workers are {lag} positions behind: wait until they have caught up, and try again. Nothing was changed"
    )]
    TooFarBehind { lag: i64 },
    #[error(
        "readers of {} did not make room within {seconds} s: end long queries on it, and try again. Nothing was changed",
        model.name()
    )]
    Readers { model: Model, seconds: u64 },
    #[error(
        "the read models are at position {position} already: they can be filled only while nobody has worked on them"
    )]
    NotEmpty { position: Position },
    /// Nobody sees this one: the making is begun again from the last checkpoint.
    #[error("an event could not be applied")]
    StartOver,
    /// Another attempt may not meet it.
    #[error("{0}: try again. Nothing was changed")]
    Passing(&'static str),
    #[error("what has happened meanwhile can't be folded. Nothing was changed")]
    Tail(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the exchange could not be written into the log. Nothing was changed")]
    Append(#[from] event_store::session::Error),
    #[error("the log says otherwise: {0}. Nothing was changed")]
    Refused(#[from] domain::refusal::Refusal),
    #[error(
        "the build is made and kept current, but what was skipped before could not be skipped in it: `parked` shows it"
    )]
    Skip(#[source] Box<crate::parked::Error>),
    #[error("a task of the rebuild ended unexpectedly; run the command again to go on where it was")]
    Task(#[from] tokio::task::JoinError),
}

/// SQLSTATE of a disk without room.
const DISK_FULL: &str = "53100";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.as_deref() == Some(DISK_FULL) { Self::DiskFull(error) } else { Self::Database(error) }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<crate::worker::Error> for Error {
    fn from(error: crate::worker::Error) -> Self {
        match error {
            crate::worker::Error::FarBehind { .. } => Self::Passing("too much has happened meanwhile"),
            error => Self::Tail(Box::new(error)),
        }
    }
}
