//! A database to look back in: its log and most of its read models made in bulk, the last events folded by workers.

use std::time::{Duration, Instant};

use event_store::{EventStore, StoreOptions};
use projection_service::Config;
use projection_service::rebuild::Rebuilder;
use read_models::Folds;
use schema::log::Position;
use schema::view::ViewStore;
use service_host::{Host, Shutdown};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::bench::line::BenchLine;
use crate::bench::rebuild::{fill, sample};

/// Between two looks at how far the workers are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `live`: events that are left to the workers, which keep what rows were. Answers the pool, and how fast they were.
pub async fn make(database: PgConnectOptions, events: i64, live: i64) -> anyhow::Result<(PgPool, BenchLine)> {
    let pool = PgPoolOptions::new().max_connections(16).connect_with(database).await?;
    schema::MIGRATOR.run(&pool).await?;
    let began = Instant::now();
    fill::fill(&pool, sample::make()?, events, |_| {}).await?;
    eprintln!("{events} events in {:.0} s", began.elapsed().as_secs_f64());
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
    let began = Instant::now();
    let rebuilder = Rebuilder::new(store.clone(), pool.clone(), Folds::of_today());
    rebuilder.fill(Position(events - live), |model, _| eprintln!("{} ...", model.name())).await?;
    eprintln!("read models of {} of them in {:.0} s", events - live, began.elapsed().as_secs_f64());
    let began = Instant::now();
    fold_the_rest(&store, &pool, Position(events)).await?;
    let rate = live as f64 / began.elapsed().as_secs_f64();
    let line = BenchLine::new("as-of", "all read models, by a worker", "events/s", rate);
    Ok((pool, line.detail("events", live).detail("after", events - live)))
}

/// By one worker, as in `coulomb up`.
async fn fold_the_rest(store: &EventStore, pool: &PgPool, upto: Position) -> anyhow::Result<()> {
    let (host, shutdown) = (Host::new(), Shutdown::new());
    let started =
        projection_service::start(Config::default(), store.clone(), pool.clone(), host.readiness(), shutdown.clone());
    let (_views, work) = started;
    let work = tokio::spawn(work);
    let views = ViewStore::new(pool.clone());
    while views.reached().await?.position < upto {
        anyhow::ensure!(!work.is_finished(), "the worker has ended");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    shutdown.begin();
    work.await??;
    Ok(())
}
