//! The handle of the event store: cheap to clone, the same for every task of a process.

use std::sync::{Arc, Weak};

use pool::Pool;
use schema::log::{Generation, Position};
use schema::topics::LogTopic;
use serde_json::Value;
use sqlx::Row;
use std::sync::OnceLock;

use crate::append::{self, Append, Appended};
use crate::archived::Archives;
use crate::cache::Cache;
use crate::database::Database;
use crate::feed::{Feed, From, Log};
use crate::kafka::{CommandFeed, Counters, KafkaCounts};
use crate::lane::Lane;
use crate::lineage::{self, Era, Identity};
use crate::options::StoreOptions;
use crate::partitions::PartitionSet;
use crate::states::StateWriter;
use crate::tail::{self, CommandFilter, Follower, Tail};
use crate::{caretaker, kafka, ranges};

/// The event store. Its background tasks end when its last handle is dropped.
#[derive(Clone)]
pub struct EventStore(Arc<Inner>);

/// For background tasks, which must not keep the store alive.
pub(crate) struct WeakStore(Weak<Inner>);

struct Inner {
    database: Database,
    options: StoreOptions,
    lane: Lane,
    era: Era,
    identity: Identity,
    cache: Cache,
    states: StateWriter,
    archives: Archives,
    tail: Tail,
    tail_runs: OnceLock<()>,
    kafka: Kafka,
}

/// What Kafka feeds, in a process that has it.
struct Kafka {
    tail: Tail,
    tail_runs: OnceLock<()>,
    events: Arc<Counters>,
    commands: Arc<Counters>,
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
    pub async fn connect(pool: impl Into<Pool>, options: StoreOptions) -> Result<Self, ConnectError> {
        let database = Database { pool: pool.into() };
        ranges::make_ahead(&mut database.pool.acquire().await?, &options).await?;
        let tail = Tail::new();
        let era = Era::new();
        let lane = Lane::start(&database.pool, &options, &tail, &era);
        let inner = Inner {
            lane,
            cache: Cache::new(options.cache_states_max, era.clone()),
            states: StateWriter::start(database.clone()),
            era: era.clone(),
            identity: Identity::default(),
            archives: Archives::new(options.archive.clone()),
            tail,
            tail_runs: OnceLock::new(),
            kafka: Kafka {
                tail: Tail::new(),
                tail_runs: OnceLock::new(),
                events: Arc::new(Counters::new(LogTopic::Events.as_str())),
                commands: Arc::new(Counters::new(LogTopic::StationCommands.as_str())),
            },
            database,
            options,
        };
        let store = Self(Arc::new(inner));
        lineage::start(&store).await?;
        tokio::spawn(lineage::run(store.downgrade(), era));
        tokio::spawn(caretaker::run(store.downgrade()));
        Ok(store)
    }

    /// Appends, together with whatever else is on its way. The outcome is that of the committed transaction.
    ///
    /// Dropping the future gives up the answer, not the append.
    pub async fn append(&self, append: Append) -> Result<Appended, append::Error> {
        self.0.lane.append(append, None).await
    }

    /// The same, of what was decided on what the log was in a generation: in another one it has to be decided anew.
    pub(crate) async fn append_in(&self, generation: Generation, append: Append) -> Result<Appended, append::Error> {
        self.0.lane.append(append, Some(generation)).await
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

    pub(crate) fn era(&self) -> &Era {
        &self.0.era
    }

    pub(crate) fn identity_known(&self) -> &Identity {
        &self.0.identity
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

impl EventStore {
    /// [`Log::follow`], always from Postgres: for who brings the log to Kafka.
    pub fn follow_database(&self, partitions: PartitionSet, from: From) -> Box<dyn Feed> {
        Box::new(self.database_follower(partitions, from))
    }

    fn database_follower(&self, partitions: PartitionSet, from: From) -> Follower {
        if self.0.tail_runs.set(()).is_ok() {
            let (options, pool) = (self.options(), &self.database().pool);
            let (poll_every, wake) = (options.poll_every, options.wake.clone());
            tokio::spawn(tail::run(self.downgrade(), self.0.tail.clone(), poll_every, wake, pool.clone()));
        }
        Follower::new(self.clone(), self.0.tail.clone(), partitions, from)
    }

    /// What Kafka has brought to this process and what it has not: of all events, and of station commands.
    pub fn kafka_counts(&self) -> (KafkaCounts, KafkaCounts) {
        (self.0.kafka.events.read(), self.0.kafka.commands.read())
    }
}

impl Log for EventStore {
    fn follow(&self, partitions: PartitionSet, from: From) -> Box<dyn Feed> {
        let Some(options) = &self.options().kafka else { return self.follow_database(partitions, from) };
        let Kafka { tail, tail_runs, events, .. } = &self.0.kafka;
        if tail_runs.set(()).is_ok() {
            tokio::spawn(kafka::run_tail(self.downgrade(), tail.clone(), options.clone(), Arc::clone(events)));
        }
        Box::new(Follower::new(self.clone(), tail.clone(), partitions, from))
    }

    fn follow_commands(&self, from: Position) -> Box<dyn Feed> {
        match &self.options().kafka {
            Some(options) => {
                let counters = Arc::clone(&self.0.kafka.commands);
                Box::new(CommandFeed::new(self.clone(), options.clone(), counters, from))
            }
            None => Box::new(CommandFilter(self.database_follower(PartitionSet::ALL, From::Position(from)))),
        }
    }
}
