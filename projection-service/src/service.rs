use std::future::Future;

use axum::Router;
use event_store::EventStore;
use pool::Pool;
use schema::partition::PARTITION_COUNT;
use service_host::{Host, Readiness, ServeLimits, Shutdown, serve};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::keeping::keep_every;
use crate::lag;
use crate::views::Views;
use crate::worker::Worker;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a task of the projections ended")]
    Ended(#[from] tokio::task::JoinError),
}

/// Prepares the projections of this process: the handle for readers, and the work itself, to be awaited until shutdown.
///
/// The pool is of the log's database, which has all migrations. Must be called inside a tokio runtime.
pub fn start<P: Into<Pool>>(
    config: Config,
    store: EventStore,
    pool: P,
    readiness: &Readiness,
    shutdown: Shutdown,
) -> (Views, impl Future<Output = Result<(), Error>> + use<P>) {
    let pool = pool.into();
    let workers = config.workers.clamp(1, usize::from(PARTITION_COUNT));
    // Without a notice, readers in this process would wait for their next look at the tables.
    let config = Config { notify: config.notify || workers > 1, ..config };
    let snapshot_every = config.snapshot_every;
    let views = Views::new(&config, pool.clone());
    let workers: Vec<Worker> = (1..=workers)
        .map(|number| {
            let name = if number == 1 { "projections".to_owned() } else { format!("projections-{number}") };
            let gate = readiness.gate(name);
            Worker::new(number, config.clone(), store.clone(), pool.clone(), views.clone(), gate)
        })
        .collect();
    let readiness = readiness.clone();
    let watched = views.clone();
    let work = async move {
        if let Some(positions) = snapshot_every {
            tokio::select! {
                () = keep_every(&pool, positions) => {}
                () = shutdown.begun() => return Ok(()),
            }
        }
        let mut tasks = tokio::task::JoinSet::new();
        let following = shutdown.clone();
        let followed = watched.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = followed.keep_progress() => {}
                () = following.begun() => {}
            }
        });
        let measuring = shutdown.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = lag::measure(store, pool, watched, readiness) => {}
                () = measuring.begun() => {}
            }
        });
        for worker in workers {
            tasks.spawn(worker.work(shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    };
    (views, work)
}

/// The service alone: the projections, and `/health`, `/ready` and `/metrics` on the listener.
///
/// # Errors
/// When a task of it panicked.
pub async fn run(
    config: Config,
    store: EventStore,
    pool: impl Into<Pool>,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let pool = pool.into();
    let host = Host::new();
    let (_views, work) = start(config, store, pool, host.readiness(), shutdown.clone());
    let serving = serve(host.finish(Router::new()), listener, shutdown.clone(), ServeLimits::default());
    let (worked, ()) = tokio::join!(
        async {
            let worked = work.await;
            // Without the work the port has nothing to tell.
            shutdown.begin();
            worked
        },
        serving
    );
    worked
}
