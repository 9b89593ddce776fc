//! What an append takes when the log is large, and while somebody holds a snapshot open, beside a log of nothing in the same run.

use std::time::{Duration, Instant};

use domain::event::AggregateType;
use event_store::{EventStore, StoreOptions};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use schema::log::StreamId;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection, Executor};
use uuid::Uuid;

use super::load::{OneByOne, Single as _, StreamSet};
use super::{TURNS, store};
use crate::bench::line::BenchLine;

/// Each waits for its append before it makes the next one.
const WRITERS: usize = 8;
/// Streams of a writer: as many of those that the log was filled with as new ones.
const STREAMS_OF_WRITER: usize = 500;
/// Positions that are filled by one statement.
const FILL_POSITIONS: i64 = 1_000_000;
const STREAM_EVENTS: i64 = 100;
/// Streams that are filled together.
const STREAMS_TOGETHER: i64 = 100;
/// A latency of more counts as that.
const LATENCY_MAX_US: u64 = 60_000_000;

#[derive(Debug, Clone)]
pub struct Grown {
    /// Events that the log holds, one measurement after the other.
    pub stored: Vec<i64>,
    /// How long a snapshot is held open in the largest one.
    pub held: Duration,
    pub turn: Duration,
}

/// `fresh` and `grown`: two databases with empty logs.
pub async fn run(
    fresh: &PgConnectOptions,
    grown: &PgConnectOptions,
    options: Grown,
    out: &mut dyn FnMut(BenchLine),
) -> anyhow::Result<()> {
    let [small, large] = [super::pool(fresh, 4).await?, super::pool(grown, 4).await?];
    for pool in [&small, &large] {
        schema::MIGRATOR.run(pool).await?;
    }
    let mut empty = Writers::of(&small, &store(fresh).await?, 0).await?;
    let mut filled = 0;
    for events in options.stored {
        filled = filled.max(fill(&large, events).await?);
        // Opened anew: the head was moved under it.
        let mut full = Writers::of(&large, &store(grown).await?, filled).await?;
        let mut figures = [Figures::new()?, Figures::new()?];
        // The first turn fills caches.
        for counts in std::iter::once(false).chain([true; TURNS]) {
            take_turns([&mut empty, &mut full], options.turn, counts.then_some(&mut figures)).await?;
        }
        out(beside(&figures, format!("{filled} events stored")));
    }
    if !options.held.is_zero() {
        let mut full = Writers::of(&large, &store(grown).await?, filled).await?;
        let mut holder = grown.clone().disable_statement_logging().connect().await?;
        hold(&mut holder).await?;
        let began = Instant::now();
        let mut figures = [Figures::new()?, Figures::new()?];
        while began.elapsed() < options.held {
            // The last quarter is what it has come to.
            let counts = began.elapsed() >= options.held * 3 / 4;
            take_turns([&mut empty, &mut full], options.turn, counts.then_some(&mut figures)).await?;
        }
        holder.close().await?;
        out(beside(&figures, format!("a snapshot open for {} s", options.held.as_secs())));
    }
    small.close().await;
    large.close().await;
    Ok(())
}

/// One after the other, so that what else the machine does hits both.
async fn take_turns(
    writers: [&mut Writers; 2],
    turn: Duration,
    mut counted: Option<&mut [Figures; 2]>,
) -> anyhow::Result<()> {
    for (number, writers) in writers.into_iter().enumerate() {
        let figures = writers.turn(turn).await?;
        if let Some(counted) = &mut counted {
            counted[number].add(&figures)?;
        }
    }
    Ok(())
}

fn beside([empty, full]: &[Figures; 2], case: String) -> BenchLine {
    let rate = |of: &Figures| (of.latency_us.len() as f64 / of.seconds).round();
    let line = BenchLine::new("append", case, "ms, p50", full.ms(0.5)).beside("empty log", empty.ms(0.5));
    let line = line.detail("p99_ms", full.ms(0.99)).detail("empty_p99_ms", empty.ms(0.99));
    line.detail("events_per_s", rate(full)).detail("empty_events_per_s", rate(empty)).detail("writers", WRITERS)
}

/// From now on nothing that is overwritten can be cleared away.
async fn hold(connection: &mut PgConnection) -> anyhow::Result<()> {
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    connection.execute("SELECT position FROM log_head").await?;
    Ok(())
}

struct Figures {
    latency_us: Histogram<u64>,
    seconds: f64,
}

impl Figures {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { latency_us: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?, seconds: 0.0 })
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency_us.add(&other.latency_us)?;
        self.seconds += other.seconds;
        Ok(())
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Writers on one log.
struct Writers(Vec<OneByOne>);

impl Writers {
    /// Of a log that was filled with so many events.
    async fn of(pool: &PgPool, store: &EventStore, filled: i64) -> anyhow::Result<Self> {
        let known = (filled / STREAM_EVENTS) as usize;
        let wanted = known.min(WRITERS * STREAMS_OF_WRITER);
        // Each stream is one writer's alone.
        let chosen = rand::seq::index::sample(&mut rand::rng(), known, wanted);
        let chosen: Vec<Uuid> = chosen.iter().map(|number| stream(number as i64)).collect();
        let versions: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT id, version FROM streams WHERE id = ANY ($1) AND type = 'Token'")
                .bind(chosen)
                .fetch_all(pool)
                .await?;
        let mut versions =
            versions.into_iter().map(|(id, version)| (StreamId { aggregate: AggregateType::Token, id }, version));
        let mut writers = vec![];
        for _ in 0..WRITERS {
            let own = versions.by_ref().take(STREAMS_OF_WRITER);
            writers.push(OneByOne::new(store.clone(), StreamSet::with(own, STREAMS_OF_WRITER)));
        }
        Ok(Self(writers))
    }

    /// All at once, for a while.
    async fn turn(&mut self, turn: Duration) -> anyhow::Result<Figures> {
        let began = Instant::now();
        let tasks: Vec<_> = self.0.drain(..).map(|writer| tokio::spawn(one(writer, began, turn))).collect();
        let mut figures = Figures::new()?;
        for task in tasks {
            let (writer, latency_us) = task.await??;
            self.0.push(writer);
            figures.latency_us.add(latency_us)?;
        }
        figures.seconds = began.elapsed().as_secs_f64();
        Ok(figures)
    }
}

async fn one(mut writer: OneByOne, began: Instant, turn: Duration) -> anyhow::Result<(OneByOne, Histogram<u64>)> {
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, LATENCY_MAX_US, 3)?;
    while began.elapsed() < turn {
        let sent = Instant::now();
        writer.append().await?;
        latency_us.saturating_record(sent.elapsed().as_micros() as u64);
    }
    Ok((writer, latency_us))
}

/// As the statement that fills makes them.
fn stream(number: i64) -> Uuid {
    let digest = Sha256::digest(number.to_string());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(id)
}

/// Adds what the log lacks of so many events, and leaves it as `VACUUM` does. Answers how many it holds.
async fn fill(pool: &PgPool, events: i64) -> anyhow::Result<i64> {
    let together = STREAM_EVENTS * STREAMS_TOGETHER;
    let upwards = |events: i64| (events + together - 1) / together * together;
    let events = upwards(events);
    // What was appended meanwhile stays where it is.
    let head: i64 = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(pool).await?;
    let mut filled = upwards(head);
    let style = "filling {wide_bar} {human_pos}/{human_len} events, {per_sec}, {eta} left";
    let progress = ProgressBar::new(events.max(filled) as u64).with_style(ProgressStyle::with_template(style)?);
    let (id, _, event) = StreamSet::with([], 1).next();
    while filled < events {
        let last = events.min(filled + FILL_POSITIONS);
        let mut transaction = pool.begin().await?;
        // The ranges lie ahead of the head.
        sqlx::query("UPDATE log_head SET position = $1, recorded_at = clock_timestamp()")
            .bind(last)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("SELECT log_make_ranges($1, 2)")
            .bind(StoreOptions::default().range_positions)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(include_str!("grow.sql"))
            .bind(filled + 1)
            .bind(last)
            .bind(&event.payload)
            .bind(&event.metadata)
            .bind(id.id.to_string())
            .bind(event.retention.code())
            .bind(event.event_type)
            .bind(event.event_version)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        progress.set_position(last as u64);
        filled = last;
    }
    progress.finish_and_clear();
    for clean in ["VACUUM (ANALYZE) events", "VACUUM (ANALYZE) streams", "CHECKPOINT"] {
        pool.execute(clean).await?;
    }
    Ok(filled)
}
