//! Building a read model anew beside the one that serves, and letting it take its place (docs/decisions/0007).
//!
//! [`Rebuilder`] is the handle: [`build`](Rebuilder::build) makes the rows, resumable, and joins the new build to the
//! workers' batches; [`compare`](Rebuilder::compare) says in which rows it differs; [`swap`](Rebuilder::swap) and
//! [`roll_back`](Rebuilder::roll_back) exchange the two; [`discard`](Rebuilder::discard) drops the one that does not serve.

mod builds;
mod compare;
mod discard;
mod error;
mod guard;
mod job;
mod join;
mod load;
mod part;
mod progress;
mod source;
pub(crate) mod table;

use event_store::EventStore;
use read_models::Folds;
use sqlx::postgres::PgPool;

pub use builds::{Build, BuildState, list};
pub use compare::{Compared, Difference};
pub use error::Error;
pub use job::Built;
pub use progress::{Progress, Stage};

/// Makes, compares and exchanges builds of read models. Cheap to clone.
///
/// Its connections must not lead through a pooler in transaction mode: it holds a lock for as long as it works.
#[derive(Clone)]
pub struct Rebuilder {
    store: EventStore,
    pool: PgPool,
    folds: Folds,
    tasks: usize,
}

impl Rebuilder {
    /// With as many tasks as there are processors.
    pub fn new(store: EventStore, pool: PgPool, folds: Folds) -> Self {
        let tasks = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { store, pool, folds, tasks }
    }

    /// Folds partitions in this many tasks; at least one.
    #[must_use]
    pub fn with_tasks(mut self, tasks: usize) -> Self {
        self.tasks = tasks.max(1);
        self
    }
}
