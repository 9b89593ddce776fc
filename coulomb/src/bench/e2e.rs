//! `coulomb bench e2e`: how long it takes from a charger's frame to the frame on a phone, through sockets, log, read model and
//! hub: in one process with its Postgres on the same machine; or, with `--kafka`, through a process for each role, which learn
//! of the log from Kafka, beside the same processes without it.
//!
//! Chargers report changing statuses at a fixed rate; each charger is followed by phones. A report carries its own time, which
//! comes back in the charger's public face, so that each frame is matched with the one that it caused. Where the newest
//! state has overtaken an older one on its way (which is allowed), the older report is counted, not timed.

mod charger;
mod kafka;
mod phone;
mod probe;
mod seed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::line::BenchLine;
use super::platform::{Platform, Reach};
use crate::settings::Settings;

/// Reports before the clock starts, so that pools, caches and plans are warm.
const WARM_UP: Duration = Duration::from_secs(3);
/// With Kafka, so that its server has compiled what it does often.
const WARM_UP_KAFKA: Duration = Duration::from_secs(15);
/// How long the last frames may take to arrive.
const LAST_FRAMES: Duration = Duration::from_secs(5);

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Reports of chargers in a second, all together; one rate after the other [default: 500, with --kafka 500,2000]
    #[arg(long, value_delimiter = ',', value_name = "NUMBER,...", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: Vec<u32>,
    /// Chargers that report
    #[arg(long, default_value_t = 250, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    chargers: u32,
    /// Phones that follow each charger
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20))]
    phones: u32,
    /// How long to measure
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    seconds: u64,
    /// Measure a process for each role: first with the log from Postgres alone, then through the Kafka at KAFKA_BROKERS, or
    /// through one that is started for it; and each rate once more with a consumer beside it, which tells the parts of that way
    #[arg(long)]
    kafka: bool,
}

impl Args {
    fn rates(&self) -> Vec<u32> {
        match (&self.rate[..], self.kafka) {
            ([], false) => vec![500],
            ([], true) => vec![500, 2_000],
            (rates, _) => rates.to_vec(),
        }
    }

    fn warm_up(&self) -> Duration {
        if self.kafka { WARM_UP_KAFKA } else { WARM_UP }
    }
}

/// The reports that are on their way: when each was written, by charger and the time it carries.
#[derive(Clone, Default)]
struct OnTheirWay(Arc<Mutex<HashMap<(usize, String), Instant>>>);

impl OnTheirWay {
    fn sent(&self, charger: usize, stamp: String) {
        self.0.lock().expect("no thread panics while it holds this").insert((charger, stamp), Instant::now());
    }

    fn seen(&self, charger: usize, stamp: &str) -> Option<Duration> {
        let sent = self.0.lock().expect("no thread panics while it holds this");
        sent.get(&(charger, stamp.to_owned())).map(Instant::elapsed)
    }

    fn forget(&self) {
        self.0.lock().expect("no thread panics while it holds this").clear();
    }

    fn count(&self) -> usize {
        self.0.lock().expect("no thread panics while it holds this").len()
    }
}

pub async fn run(settings: &Settings, args: Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    if args.kafka {
        return kafka::run(settings, &args, out).await;
    }
    let platform = Platform::start(settings).await?;
    let measured = async {
        let reach = platform.reach();
        let token = seed::login(&reach).await.context("logging in")?;
        seed::chargers(&reach, &token, args.chargers).await.context("registering the chargers")?;
        for rate in args.rates() {
            let measured = measure(&reach, &token, &args, rate).await?;
            for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                let case = format!("charger frame to phone frame at {rate}/s, {name}");
                out(measured.line(case, measured.seen_ms(quantile), &args));
            }
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                let case = format!("charger frame to its acknowledgement at {rate}/s, {name}");
                out(measured.line(case, measured.acknowledged_ms(quantile), &args));
            }
        }
        anyhow::Ok(())
    };
    let measured = measured.await;
    platform.stop().await?;
    measured
}

/// What came of one rate. Histograms are of microseconds.
struct Measured {
    seen: Histogram<u64>,
    acknowledged: Histogram<u64>,
    /// Reports in a second, as they were sent.
    rate: f64,
    /// Frames that newer ones have overtaken.
    overtaken: u64,
}

impl Measured {
    fn seen_ms(&self, quantile: f64) -> f64 {
        self.seen.value_at_quantile(quantile) as f64 / 1000.0
    }

    fn acknowledged_ms(&self, quantile: f64) -> f64 {
        self.acknowledged.value_at_quantile(quantile) as f64 / 1000.0
    }

    fn line(&self, case: String, ms: f64, args: &Args) -> BenchLine {
        let line = BenchLine::new("e2e", case, "ms", ms).detail("rate_per_s", self.rate);
        let line = line.detail("chargers", args.chargers).detail("phones", args.phones);
        line.detail("frames", self.seen.len()).detail("overtaken", self.overtaken)
    }
}

async fn measure(reach: &Reach, token: &str, args: &Args, rate: u32) -> anyhow::Result<Measured> {
    let on_their_way = OnTheirWay::default();
    let seen = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?));

    let mut phones = JoinSet::new();
    for number in 0..(args.chargers * args.phones) as usize {
        let charger = number % args.chargers as usize;
        let phone = phone::Phone::connect(reach, token, charger).await.context("connecting a phone")?;
        phones.spawn(phone.follow(on_their_way.clone(), Arc::clone(&seen)));
    }
    let period = Duration::from_secs_f64(f64::from(args.chargers) / f64::from(rate));
    let (warm_up, length) = (args.warm_up(), Duration::from_secs(args.seconds));
    let mut chargers = JoinSet::new();
    let mut connected = vec![];
    for number in 0..args.chargers as usize {
        connected.push(charger::Charger::connect(reach, number).await.context("connecting a charger")?);
    }
    let started = Instant::now();
    for (number, charger) in connected.into_iter().enumerate() {
        // Spread evenly over the period.
        let offset = period.mul_f64(number as f64 / f64::from(args.chargers));
        let (sent, until) = (on_their_way.clone(), warm_up + length);
        chargers.spawn(charger.report(sent, started, offset, period, until));
    }
    tokio::time::sleep(warm_up).await;
    on_their_way.forget();
    seen.lock().expect("no thread panics while it holds this").reset();

    let mut acknowledged = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    while let Some(ended) = chargers.join_next().await {
        acknowledged.add(ended??)?;
    }
    let took = started.elapsed().saturating_sub(warm_up).max(length);
    let sent = on_their_way.count();
    let wanted = sent as u64 * u64::from(args.phones);
    let give_up = Instant::now() + LAST_FRAMES;
    let arrived = || seen.lock().expect("no thread panics while it holds this").len();
    while arrived() < wanted && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    phones.abort_all();

    let seen = seen.lock().expect("no thread panics while it holds this").clone();
    ensure!(!seen.is_empty(), "no frame reached any phone");
    let overtaken = wanted.saturating_sub(seen.len());
    Ok(Measured { rate: sent as f64 / took.as_secs_f64(), overtaken, seen, acknowledged })
}
