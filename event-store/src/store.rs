//! The handle of the event store: cheap to clone, the same for every task of a process.

use std::sync::{Arc, Weak};

use schema::log::Position;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgPool;
use std::sync::OnceLock;

use crate::append::{self, Append, Appended};
use crate::archived::Archives;
use crate::cache::Cache;
use crate::database::Database;
use crate::feed::{Feed, From, Log};
use crate::lane::Lane;
use crate::options::StoreOptions;
use crate::partitions::PartitionSet;
use crate::states::StateWriter;
use crate::tail::{self, PostgresFeed, Tail};
use crate::{caretaker, ranges};

/// The event store. Its background tasks end when its last handle is dropped.
#[derive(Clone)]
pub struct EventStore(Arc<Inner>);

/// For background tasks, which must not keep the store alive.
pub(crate) struct WeakStore(Weak<Inner>);

struct Inner {
    database: Database,
    options: StoreOptions,
    lane: Lane,
    cache: Cache,
    states: StateWriter,
    archives: Archives,
    tail: Tail,
    tail_runs: OnceLock<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the database of the log can't be used")]
    Unavailable(#[from] sqlx::Error),
}

/// What was stored under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub answer: Value,
    pub body_hash: [u8; 32],
    pub position: Position,
}

impl WeakStore {
    pub fn upgrade(&self) -> Option<EventStore> {
        self.0.upgrade().map(EventStore)
    }
}

impl EventStore {
    /// On a database to which `schema::MIGRATOR` was applied. The pool serves reads; each flush has a connection of its
    /// own, opened like the pool's.
    ///
    /// # Errors
    /// When the database can't be reached or has no log.
    pub async fn connect(pool: PgPool, options: StoreOptions) -> Result<Self, ConnectError> {
        let database = Database { pool, transaction_pooler: options.transaction_pooler };
        ranges::make_ahead(&mut *database.pool.acquire().await?, &options).await?;
        let tail = Tail::new();
        let lane = Lane::start(&database.pool.connect_options(), &options, &tail);
        let inner = Inner {
            lane,
            cache: Cache::new(options.cache_states_max),
            states: StateWriter::start(database.clone()),
            archives: Archives::new(options.archive.clone()),
            tail,
            tail_runs: OnceLock::new(),
            database,
            options,
        };
        let store = Self(Arc::new(inner));
        tokio::spawn(caretaker::run(store.downgrade()));
        Ok(store)
    }

    /// Appends, together with whatever else is on its way. The outcome is that of the committed transaction.
    ///
    /// Dropping the future gives up the answer, not the append.
    pub async fn append(&self, append: Append) -> Result<Appended, append::Error> {
        self.0.lane.append(append).await
    }

    /// What was answered under a key, unless it has expired.
    pub async fn lookup(&self, scope: &str, key: &str) -> Result<Option<Answered>, crate::read::Error> {
        let statement = sqlx::query(include_str!("store/lookup.sql")).bind(scope).bind(key);
        let Some(row) = self.database().fetch_optional(statement).await? else { return Ok(None) };
        let position = Position(row.try_get(2)?);
        let corrupt = |what| crate::read::Error::Corrupt { position, what };
        let body_hash = row.try_get::<&[u8], _>(1)?.try_into().map_err(|_| corrupt("body hash"))?;
        let answer = serde_json::from_str(row.try_get(0)?).map_err(|_| corrupt("answer"))?;
        Ok(Some(Answered { answer, body_hash, position }))
    }

    pub fn options(&self) -> &StoreOptions {
        &self.0.options
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn archives(&self) -> &Archives {
        &self.0.archives
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn states(&self) -> &StateWriter {
        &self.0.states
    }

    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.0))
    }
}

impl Log for EventStore {
    fn follow(&self, partitions: PartitionSet, from: From) -> Box<dyn Feed> {
        if self.0.tail_runs.set(()).is_ok() {
            let (options, pool) = (self.options(), &self.database().pool);
            let (poll_every, wake) = (options.poll_every, options.wake.clone());
            let connect = pool.connect_options().as_ref().clone();
            tokio::spawn(tail::run(self.downgrade(), self.0.tail.clone(), poll_every, wake, connect));
        }
        Box::new(PostgresFeed::new(self.clone(), self.0.tail.clone(), partitions, from))
    }
}
