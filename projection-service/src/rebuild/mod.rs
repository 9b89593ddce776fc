//! Building a read model anew beside the one that serves, and letting it take its place (docs/decisions/0007).
//!
//! [`Rebuilder`] is the handle: [`build`](Rebuilder::build) makes the rows, resumable, and joins the new build to the
//! workers' batches; [`compare`](Rebuilder::compare) says in which rows it differs; [`swap`](Rebuilder::swap) and
//! [`roll_back`](Rebuilder::roll_back) exchange the two; [`discard`](Rebuilder::discard) drops the one that does not serve.
//! [`fill`](Rebuilder::fill) makes all of them where none has rows yet.

mod builds;
mod compare;
mod discard;
mod error;
mod exchange;
mod fill;
mod guard;
mod job;
mod join;
mod load;
mod part;
mod progress;
mod skipped;
mod source;
mod table;

use event_store::EventStore;
use pool::{Connection, Pool};
use read_models::Folds;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

pub use builds::{Build, BuildState, list};
pub use compare::{Compared, Difference};
pub use error::Error;
pub use exchange::Exchanged;
pub use job::Built;
pub use progress::{Progress, Stage};

/// Makes, compares and exchanges builds of read models. Cheap to clone.
///
/// Its connections must not lead through a pooler in transaction mode: it holds a lock for as long as it works.
#[derive(Clone)]
pub struct Rebuilder {
    store: EventStore,
    pool: Pool,
    folds: Folds,
    limits: Limits,
}

/// What a rebuild may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tasks that fold, each some of the partitions.
    pub tasks: usize,
    /// Positions of the log that one transaction reads.
    pub range_positions: i64,
    /// Rows of a task that wait to be written; and those that it keeps after that, for the events that come.
    pub rows: usize,
    /// Positions after which a task commits, however little there is to write: so much is done again after a kill.
    pub checkpoint_positions: i64,
}

impl Default for Limits {
    /// With as many tasks as there are processors.
    fn default() -> Self {
        let tasks = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { tasks, range_positions: 16_384, rows: 4_000, checkpoint_positions: 500_000 }
    }
}

impl Rebuilder {
    pub fn new(store: EventStore, pool: impl Into<Pool>, folds: Folds) -> Self {
        let pool = pool.into();
        Self { store, pool, folds, limits: Limits::default() }
    }

    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Limits { tasks: limits.tasks.max(1), ..limits };
        self
    }

    /// A connection of its own: what is left in its session, or on its way, when something goes wrong is nobody else's.
    async fn connect(&self) -> Result<Connection<'static>, Error> {
        let options: PgConnectOptions = self.pool.connect_options().as_ref().clone();
        Ok(options.application_name("coulomb rebuild").disable_statement_logging().connect().await?.into())
    }
}
