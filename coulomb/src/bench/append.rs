//! `coulomb bench append`: how fast the log takes events, beside what cqrs-es's own repository and a bare INSERT do with the
//! same ones on the same server.
//!
//! Our side makes all its checks. Each case and its baseline run in turns, several times, and the medians are compared:
//! so that what else the machine does hits both.

mod grown;
mod load;
mod raw;
mod stock;

use std::time::Duration;

use anyhow::Context;
use event_store::{EventStore, StoreOptions};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::line::{BenchLine, median};

/// Writers that commit one event at a time.
const WRITERS: [usize; 2] = [32, 256];
/// Of the stock repository: as many as `postgres_es::default_postgress_pool` opens, and more. The faster of the two is the
/// baseline, and the other one stands in the detail.
const STOCK_CONNECTIONS: [u32; 2] = [10, 32];
const BATCHES: [usize; 2] = [30, 100];
const APPENDERS: usize = 3;
/// Streams that are written to, in all.
const STREAMS: usize = 1_000;
/// Turns of a case and its baseline.
const TURNS: usize = 3;

#[derive(Debug, Clone)]
pub struct AppendBench {
    /// A server on which a database may be made, and is dropped again.
    pub server: PgConnectOptions,
    /// How long each turn of each case runs.
    pub turn: Duration,
    /// Events that the log holds before what an append takes is measured, one after the other. None: the other cases run.
    pub stored: Vec<i64>,
    /// How long a snapshot is then held open.
    pub held: Duration,
}

/// Runs all cases.
///
/// # Errors
/// When the server can't be used, or an append fails.
pub async fn run(options: AppendBench, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let own = std::process::id();
    let names = [format!("coulomb_bench_{own}"), format!("coulomb_bench_{own}_grown")];
    let mut admin = options.server.connect().await.context("the server can't be reached")?;
    for name in &names {
        admin.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)").as_str()).await?;
        admin.execute(format!("CREATE DATABASE {name}").as_str()).await?;
    }
    let [one, other] = names.each_ref().map(|name| options.server.clone().database(name));
    let AppendBench { turn, stored, held, .. } = options;
    let ran = match stored.is_empty() {
        true => cases(one, turn, out).await,
        false => grown::run(&one, &other, grown::Grown { stored, held, turn }, out).await,
    };
    for name in &names {
        admin.execute(format!("DROP DATABASE {name} WITH (FORCE)").as_str()).await?;
    }
    admin.close().await?;
    ran
}

async fn cases(database: PgConnectOptions, turn: Duration, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let [stock_pool, wide_pool] = STOCK_CONNECTIONS.map(|connections| pool(&database, connections));
    let (stock_pool, wide_pool) = (stock_pool.await?, wide_pool.await?);
    schema::MIGRATOR.run(&stock_pool).await?;
    stock::prepare(&stock_pool).await?;
    raw::prepare(&stock_pool).await?;
    for writers in WRITERS {
        let store = store(&database).await?;
        let (mut ours, mut theirs, mut wide) = (vec![], vec![], vec![]);
        for _ in 0..TURNS {
            theirs.push(load::single(writers, turn, |set| stock::Writer::new(stock_pool.clone(), set)).await?);
            ours.push(load::single(writers, turn, |set| load::OneByOne::new(store.clone(), set)).await?);
            wide.push(load::single(writers, turn, |set| stock::Writer::new(wide_pool.clone(), set)).await?);
        }
        let line = BenchLine::new("append", format!("{writers} writers"), "events/s", median(ours));
        let mut stock = [(median(theirs), STOCK_CONNECTIONS[0]), (median(wide), STOCK_CONNECTIONS[1])];
        stock.sort_by(|one, other| other.0.total_cmp(&one.0));
        let [(faster, connections), (slower, other_connections)] = stock;
        let line = line.beside("stock postgres-es", faster).detail("stock_connections", connections);
        out(line.detail(&format!("stock_with_{other_connections}_connections"), slower.round()));
    }
    for (appenders, batch) in BATCHES.map(|batch| (1, batch)).into_iter().chain([(APPENDERS, 100)]) {
        let (mut ours, mut bare) = (vec![], vec![]);
        let mut stores = Vec::new();
        for _ in 0..appenders {
            stores.push(store(&database).await?);
        }
        for _ in 0..TURNS {
            let plain = |set| raw::Appender::new(database.clone(), set);
            bare.push(load::batches(appenders, batch, turn, plain).await?);
            let mut stores = stores.iter().cloned();
            let through = |set| {
                let store = stores.next();
                async move { Ok(load::Batches::new(store.context("a store for each appender")?, set)) }
            };
            ours.push(load::batches(appenders, batch, turn, through).await?);
        }
        let case = match appenders {
            1 => format!("batches of {batch}"),
            _ => format!("batches of {batch}, {appenders} appending processes"),
        };
        let line = BenchLine::new("append", case, "events/s", median(ours));
        out(line.beside("raw insert", median(bare)).detail("streams", STREAMS).detail("appenders", appenders));
    }
    Ok(())
}

async fn pool(database: &PgConnectOptions, connections: u32) -> anyhow::Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(connections).connect_with(database.clone()).await?)
}

/// As a process of its own would have it.
async fn store(database: &PgConnectOptions) -> anyhow::Result<EventStore> {
    Ok(EventStore::connect(pool(database, 4).await?, StoreOptions::default()).await?)
}
