//! Read models built anew.

mod exchanging;
mod filling;
mod making;
mod skipping;
mod troubles;

use event_store::EventStore;
use projection_service::rebuild::{Limits, Progress, Rebuilder};
use read_models::{Fact, FoldError, Folds, ReadModel, Sites};
use schema::view::{Model, SiteRow};
use sqlx::postgres::PgPool;

use crate::support::store_options;

/// Small, so that there are many ranges and checkpoints, and rows that are not in memory.
const LIMITS: Limits = Limits { tasks: 3, range_positions: 40, rows: 15, checkpoint_positions: 100 };

async fn rebuilder(pool: &PgPool, folds: Folds) -> Rebuilder {
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    Rebuilder::new(store, pool.clone(), folds).with_limits(LIMITS)
}

/// Builds and compares; answers how many rows differ.
async fn build(rebuilder: &Rebuilder, model: Model) -> i64 {
    rebuilder.build(model, &Progress::default()).await.unwrap();
    let compared = rebuilder.compare(model, 5).await.unwrap();
    assert!(compared.shadow_rows > 0, "{model:?} has no rows");
    compared.differing()
}

/// Sites as a later version might have them: those that begin with a digit are spelled otherwise, and those that begin with
/// a letter before `d` are none.
struct LaterSites;

impl ReadModel for LaterSites {
    const MODEL: Model = Model::Sites;
    const VERSION: u32 = Sites::VERSION + 1;
    const RETENTION: &'static [domain::envelope::Retention] = Sites::RETENTION;
    type Row = SiteRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        Sites::key(fact).filter(|key| !is_left_out(key))
    }

    fn apply(row: Option<SiteRow>, fact: &Fact<'_>) -> Result<SiteRow, FoldError> {
        Sites::apply(row, fact)
    }

    fn complete(row: &mut SiteRow) {
        if let Some(details) = &mut row.site.details
            && details.name.starts_with(|first: char| first.is_ascii_digit())
        {
            details.name = format!("Site {}", details.name.trim_start_matches("Site "));
        }
    }
}

fn both_folds() -> Folds {
    Folds::of_today().with::<LaterSites>()
}

fn is_left_out(key: &str) -> bool {
    key.starts_with(['a', 'b', 'c'])
}

/// Sites by a fold that can't apply some of their changes.
struct NarrowSites;

impl ReadModel for NarrowSites {
    const MODEL: Model = Model::Sites;
    const VERSION: u32 = Sites::VERSION + 1;
    const RETENTION: &'static [domain::envelope::Retention] = Sites::RETENTION;
    type Row = SiteRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        Sites::key(fact)
    }

    fn apply(row: Option<SiteRow>, fact: &Fact<'_>) -> Result<SiteRow, FoldError> {
        if fact.recorded.sequence == 2 && fact.recorded.stream.id.as_u128().is_multiple_of(2) {
            let key = fact.recorded.stream.id.to_string();
            return Err(FoldError::NoRow { position: fact.recorded.position, model: Model::Sites, key });
        }
        Sites::apply(row, fact)
    }
}
