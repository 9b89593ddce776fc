//! Building read models anew from the log, beside an ordered read-back of the same table in the same run.

pub(super) mod fill;
mod memory;
pub(super) mod sample;

use std::time::Instant;

use anyhow::Context;
use event_store::{EventStore, StoreOptions};
use futures_util::TryStreamExt;
use projection_service::rebuild::{Progress, Rebuilder};
use read_models::Folds;
use schema::digest::block_of;
use schema::log::Position;
use schema::view::Model;
use serde_json::{Map, Value};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::line::{BenchLine, median};
use memory::Memory;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// How many events the log holds
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    events: i64,

    /// Which read models are built, one after the other
    #[arg(long, value_delimiter = ',', default_value = "sessions,meter_values,commands,charge_points",
        value_name = "NAME,...", value_parser = crate::projections::model::parse)]
    model: Vec<Model>,

    /// How often each is built, after a read-back each time; the medians are told
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=99))]
    turns: u32,

    /// Keep the filled database of this name, and use it again when it is there. With DATABASE_URL
    #[arg(long, value_name = "NAME", requires = "events")]
    keep: Option<String>,
}

/// Runs all cases on a database of its own.
///
/// # Errors
/// When the server can't be used, or something can't be built.
pub async fn run(server: PgConnectOptions, args: Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let name = args.keep.clone().unwrap_or_else(|| format!("coulomb_bench_{}", std::process::id()));
    let mut admin = server.clone().connect().await.context("the server can't be reached")?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut admin)
        .await?;
    if !there {
        admin.execute(format!("CREATE DATABASE {name}").as_str()).await?;
    }
    let pool = PgPoolOptions::new().max_connections(16).connect_with(server.database(&name)).await?;
    let ran = async {
        if !there {
            schema::MIGRATOR.run(&pool).await?;
            let began = Instant::now();
            fill::fill(&pool, sample::make()?, args.events, |_| {}).await?;
            eprintln!("filled in {:?}", began.elapsed());
        }
        cases(&pool, &args, out).await
    };
    let ran = ran.await;
    pool.close().await;
    if args.keep.is_none() {
        admin.execute(format!("DROP DATABASE {name} WITH (FORCE)").as_str()).await?;
    }
    admin.close().await?;
    ran
}

async fn cases(pool: &PgPool, args: &Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let events = args.events;
    // As far as they may be built: the live ones are empty, nobody writes them, and what they consumed is not known.
    sqlx::query("UPDATE views.progress SET position = $1, digest_block = $2, digest_events = 0, digest = NULL")
        .bind(events)
        .bind(block_of(Position(events + 1)))
        .execute(pool)
        .await?;
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
    for model in &args.model {
        let (mut copies, mut builds) = (vec![], vec![]);
        let mut detail = Map::new();
        for _ in 0..args.turns {
            copies.push(read_back(pool, events).await?);
            let rebuilder = Rebuilder::new(store.clone(), pool.clone(), Folds::of_today());
            let (rate, of_turn) = build(&rebuilder, *model, events).await?;
            builds.push(rate);
            detail = of_turn;
            rebuilder.discard(*model).await?;
        }
        let line =
            BenchLine::new("rebuild", format!("{} of {events} events", model.name()), "events/s", median(builds));
        let line = line.beside("copy", median(copies));
        out(detail.into_iter().fold(line, |line, (name, value)| line.detail(&name, value)));
    }
    Ok(())
}

/// Events of the log a second, from an empty table to one with all rows and indexes that the workers would write; and what
/// is worth knowing of it.
async fn build(rebuilder: &Rebuilder, model: Model, events: i64) -> anyhow::Result<(f64, Map<String, Value>)> {
    let progress = Progress::default();
    let memory = Memory::watch();
    let began = Instant::now();
    rebuilder.build(model, &progress).await?;
    let seconds = began.elapsed().as_secs_f64();
    let mut detail = Map::new();
    detail.insert("events_folded".to_owned(), progress.folded().into());
    detail.insert("rows_written".to_owned(), progress.written().into());
    detail.insert("seconds".to_owned(), ((seconds * 10.0).round() / 10.0).into());
    detail.insert("memory_peak_mib".to_owned(), memory.peak_mib().into());
    Ok((events as f64 / seconds, detail))
}

/// Every event with all its columns, in the order of positions, by COPY.
pub(super) async fn read_back(pool: &PgPool, events: i64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut rows = pool.copy_out_raw("COPY (SELECT * FROM events ORDER BY position) TO STDOUT (FORMAT binary)").await?;
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        count += i64::from(!row.is_empty());
    }
    // After the last row something else comes.
    anyhow::ensure!(count >= events, "{count} events were read back, of {events}");
    Ok(events as f64 / began.elapsed().as_secs_f64())
}
