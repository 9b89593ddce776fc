use std::time::Duration;

use read_models::Folds;
use schema::view::FeedOptions;

/// How the projections of one process work.
#[derive(Debug, Clone)]
pub struct Config {
    /// Workers of this process, each with partitions of its own: 1 to 64. With more than one, readers in the process learn of
    /// rows from the tables, as those in other processes do.
    pub workers: usize,
    /// Whether each commit notifies other processes (`coulomb_views`). In vain where there are none.
    pub notify: bool,
    /// How long a silent worker keeps its partitions.
    pub lease_ttl: Duration,
    /// Rows kept in memory by each worker, so that a batch need not read what it changes.
    pub rows_max: usize,
    /// Rows are kept as they were every so many positions, for looking back. None: as the database has it. It holds for all
    /// processes: that which starts last decides.
    pub snapshot_every: Option<i64>,
    /// Those that builds are kept up to date with.
    pub folds: Folds,
    /// How the rows of partitions that other processes own are followed.
    pub feed: FeedOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            notify: true,
            lease_ttl: Duration::from_secs(4),
            rows_max: 20_000,
            snapshot_every: None,
            folds: Folds::default(),
            feed: FeedOptions::default(),
        }
    }
}
