//! Looking back in a database as it is, or in one that is made for it: one row, and lists, as of random positions.

mod made;

use std::time::Instant;

use anyhow::Context;
use domain::id::TenantId;
use event_store::{EventStore, StoreOptions};
use history::{Asked, Past};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use schema::log::Position;
use schema::view::{Column, Model, Order, Query, ViewStore};
use sqlx::{ConnectOptions, Connection, Executor};

use super::line::BenchLine;
use super::platform::Server;
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

/// Rows among which keys are chosen.
const KEYS: u32 = 2_000;
/// The aim for any of it.
const AIM_MS: f64 = 2_000.0;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
It looks back in the database at DATABASE_URL, or in the private one in --data-dir, as they are; nothing is written there. With
--events it makes a database of so many events, and drops it again:
  coulomb bench as-of --events 10000000")]
pub struct Args {
    /// Looks of each case, each as of another position
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    looks: u32,

    /// The same number chooses the same positions and rows
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,

    /// Make a database with so many events for it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1_000..=100_000_000))]
    events: Option<i64>,

    /// The last so many of them are folded by a worker, which keeps what rows were; the looks are as of positions of these
    #[arg(long, default_value_t = 500_000, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1_000..))]
    live: i64,
}

pub async fn run(settings: &Settings, args: Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    if let Some(events) = args.events {
        let server = Server::start(settings).await?;
        let ran = on_one_of_its_own(&server, events, &args, out).await;
        server.stop().await?;
        return ran;
    }
    let database = CommandDatabase::open(settings).await?;
    let measured = async { measure(database.store().await?, database.pool(), &args, out).await };
    let measured = measured.await;
    let closed = database.close().await;
    measured.and(closed)
}

async fn on_one_of_its_own(
    server: &Server,
    events: i64,
    args: &Args,
    out: &mut dyn FnMut(BenchLine),
) -> anyhow::Result<()> {
    let name = format!("coulomb_bench_{}", std::process::id());
    let mut admin = server.options()?.connect().await.context("the server can't be reached")?;
    admin.execute(format!("CREATE DATABASE {name}").as_str()).await?;
    let ran = async {
        let (pool, worked) = made::make(server.options()?.database(&name), events, args.live.min(events)).await?;
        out(worked);
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await?;
        let measured = measure(store, &pool, args, out).await;
        pool.close().await;
        measured
    };
    let ran = ran.await;
    admin.execute(format!("DROP DATABASE {name} WITH (FORCE)").as_str()).await?;
    admin.close().await?;
    ran
}

async fn measure(
    store: EventStore,
    pool: impl Into<pool::Pool>,
    args: &Args,
    out: &mut dyn FnMut(BenchLine),
) -> anyhow::Result<()> {
    let views = ViewStore::new(pool);
    let reached = views.reached().await?.position;
    anyhow::ensure!(reached.0 > 1, "the read models are at {reached}: run `coulomb projection-service` on it first");
    let earliest = views.boundaries().await?.first().unwrap_or_default().max(Position(1));
    let (head, _) = store.head().await?;
    let mut looks = Looks { store, views, rng: StdRng::seed_from_u64(args.seed), earliest, reached, head, args };

    out(looks.times().await?);
    for model in [Model::ChargePoints, Model::Sessions, Model::Commands, Model::Drivers] {
        if let Some(line) = looks.rows(model).await? {
            out(line);
        }
    }
    for (name, query) in looks.lists().await? {
        let (first, next) = looks.list(name, &query).await?;
        out(first);
        next.into_iter().for_each(&mut *out);
    }
    Ok(())
}

struct Looks<'a> {
    store: EventStore,
    views: ViewStore,
    rng: StdRng,
    /// Before it is nothing to be looked at.
    earliest: Position,
    /// Of the read models.
    reached: Position,
    head: Position,
    args: &'a Args,
}

impl Looks<'_> {
    /// Every second one as far from a boundary as can be.
    async fn position(&mut self, nth: u32) -> anyhow::Result<Position> {
        let any = Position(self.rng.random_range(self.earliest.0..=self.reached.0));
        let boundary = self.views.boundaries().await?.at_or_above(any);
        let farthest = boundary.map(|boundary| Position(boundary.0 - 1)).filter(|before| *before <= self.reached);
        Ok(farthest.filter(|before| nth % 2 == 1 && before.0 > 0).unwrap_or(any))
    }

    fn line(&self, case: impl Into<String>, mut taken_ms: Vec<f64>) -> BenchLine {
        taken_ms.sort_by(f64::total_cmp);
        let (median, most) = (taken_ms[taken_ms.len() / 2], taken_ms[taken_ms.len() - 1]);
        BenchLine::new("as-of", case, "ms", median)
            .detail("max_ms", (most * 10.0).round() / 10.0)
            .detail("within_aim", most <= AIM_MS)
            .detail("looks", taken_ms.len())
            .detail("events", self.head.0)
            .detail("read_models_at", self.reached.0)
    }

    async fn times(&mut self) -> anyhow::Result<BenchLine> {
        let past = Past::new(self.store.clone(), self.views.clone());
        let mut taken = vec![];
        for nth in 0..self.args.looks {
            let position = self.position(nth).await?;
            let Some(time) = self.store.recorded_at(position).await? else { continue };
            let began = Instant::now();
            past.moment(Asked::Time(time)).await?;
            taken.push(millis(began));
        }
        anyhow::ensure!(!taken.is_empty(), "none of the events is kept");
        Ok(self.line("the position of a time", taken))
    }

    /// None: the read model has no rows.
    async fn rows(&mut self, model: Model) -> anyhow::Result<Option<BenchLine>> {
        let past = Past::new(self.store.clone(), self.views.clone());
        let rows = self.views.list(&Query::of(model).limit(KEYS)).await?.rows;
        let mut taken = vec![];
        for nth in 0..self.args.looks {
            let Some(row) = rows.choose(&mut self.rng).cloned() else { return Ok(None) };
            let position = self.position(nth).await?;
            let began = Instant::now();
            let moment = past.moment(Asked::Position(position)).await?;
            past.get(model, &row.key, &moment).await?;
            taken.push(millis(began));
        }
        Ok(Some(self.line(format!("one of {}", model.name()), taken)))
    }

    async fn lists(&mut self) -> anyhow::Result<Vec<(&'static str, Query)>> {
        let of = |model| Query::of(model).with(Column::TenantId, TenantId::DEFAULT).limit(50);
        let sessions = || of(Model::Sessions).order(Order::KeyDescending);
        let mut lists = vec![
            ("chargers by name", of(Model::ChargePoints).order(Order::IdentityAscending)),
            ("sessions, the newest first", sessions()),
            ("sessions that are active", sessions().with(Column::State, "active")),
            ("sessions that failed", sessions().with(Column::State, "failed")),
            ("commands, the newest first", of(Model::Commands).order(Order::RequestedAtDescending)),
            ("drivers", of(Model::Drivers)),
        ];
        for (name, column, model) in [
            ("sessions of a charger", Column::ChargePointId, Model::ChargePoints),
            ("sessions of a driver", Column::DriverId, Model::Drivers),
        ] {
            if let Some(row) = self.views.list(&Query::of(model).limit(KEYS)).await?.rows.choose(&mut self.rng) {
                lists.push((name, sessions().with(column, &row.key)));
            }
        }
        Ok(lists)
    }

    /// The first page, and the one after it where there is one.
    async fn list(&mut self, name: &str, query: &Query) -> anyhow::Result<(BenchLine, Option<BenchLine>)> {
        let (mut first, mut next) = (vec![], vec![]);
        for nth in 0..self.args.looks {
            let position = self.position(nth).await?;
            // Nothing is remembered from the look before.
            let past = Past::new(self.store.clone(), self.views.clone());
            let began = Instant::now();
            let moment = past.moment(Asked::Position(position)).await?;
            let page = past.list(query, &moment).await?;
            first.push(millis(began));
            if page.next.is_some() {
                let began = Instant::now();
                past.list(&query.clone().after(page.next), &moment).await?;
                next.push(millis(began));
            }
        }
        let next = (!next.is_empty()).then(|| self.line(format!("{name}, its next page"), next));
        Ok((self.line(name, first), next))
    }
}

fn millis(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1_000.0
}
