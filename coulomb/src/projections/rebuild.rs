//! `coulomb projections rebuild`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use projection_service::rebuild::{Limits, Progress, Rebuilder, Stage};
use serde_json::json;

use super::compare;
use super::model::Named;
use crate::command_database::CommandDatabase;

const SHOW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(1);
const SAMPLE: u32 = 5;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
A new build is made beside the live one, from the log, by the newest fold of this program. Meanwhile the live one serves
and stays current. When the new one has caught up it is kept current too, and the two are compared: what to do then is
said. Killed at any moment, the same command goes on where it was; `coulomb projections drop` cleans up instead.

With --json there is a line about once a second:
  {\"stage\",\"position\",\"upto\",\"events_per_second\",\"seconds_left\",\"events_folded\",\"rows_written\"}
and one at the end: {\"stage\":\"joined\",\"build\",\"fold_version\",\"position\",\"resumed\",\"seconds\",\"compared\"}")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// JSON, a line about once a second
    #[arg(long)]
    json: bool,

    /// How many tasks fold; as many as there are processors unless given
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    tasks: Option<u16>,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let mut rebuilder = database.rebuilder().await?;
    if let Some(tasks) = args.tasks {
        rebuilder = rebuilder.with_limits(Limits { tasks: tasks.into(), ..Limits::default() });
    }
    build(&rebuilder, &args).await
}

async fn build(rebuilder: &Rebuilder, args: &Args) -> anyhow::Result<()> {
    let model = args.named.model;
    let progress = Progress::default();
    let began = Instant::now();
    let built = tokio::select! {
        built = rebuilder.build(model, &progress) => built?,
        shown = show(&progress, args.json, began) => match shown {},
    };
    let seconds = began.elapsed().as_secs_f64();
    let compared = rebuilder.compare(model, SAMPLE).await?;
    if args.json {
        let line = json!({
            "stage": "joined",
            "model": model.name(),
            "build": built.number,
            "fold_version": built.fold_version,
            "position": built.position,
            "resumed": built.resumed,
            "events_folded": progress.folded(),
            "rows_written": progress.written(),
            "seconds": seconds,
            "compared": compared,
        });
        say!("{line}");
        return Ok(());
    }
    say!(
        "Build {} of {} has joined after {seconds:.1} s, and is kept current from now on.",
        built.number,
        model.name()
    );
    compare::show(&compared);
    let name = model.name();
    say!("\n  coulomb projections swap {name}    lets it serve");
    say!("  coulomb projections drop {name}    throws it away");
    Ok(())
}

/// Shows how far it is, for as long as it is awaited.
async fn show(progress: &Progress, json: bool, began: Instant) -> std::convert::Infallible {
    if json {
        loop {
            tokio::time::sleep(LINE_EVERY).await;
            say!("{}", line(progress, began));
        }
    }
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:<12} {wide_bar} {human_pos}/{human_len} {prefix}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let rate = rate(progress, began);
        bar.set_length(progress.upto().0.unsigned_abs());
        bar.set_position(progress.at().0.unsigned_abs());
        bar.set_message(named(progress.stage()));
        let left = left(progress, rate).map_or_else(String::new, |left| format!(", {left:.0} s left"));
        bar.set_prefix(format!("{rate:.0} events/s{left}"));
        tokio::time::sleep(SHOW_EVERY).await;
    }
}

const fn named(stage: Stage) -> &'static str {
    match stage {
        Stage::Loading => "loading",
        Stage::Indexing => "indexing",
        Stage::CatchingUp => "catching up",
        Stage::Joining => "joining",
        Stage::Joined => "joined",
    }
}

fn rate(progress: &Progress, began: Instant) -> f64 {
    (progress.at().0 - progress.began_at().0) as f64 / began.elapsed().as_secs_f64().max(0.001)
}

/// Seconds, as long as the rate is kept; none before there is one.
fn left(progress: &Progress, rate: f64) -> Option<f64> {
    let positions = (progress.upto().0 - progress.at().0) as f64;
    (rate > 0.0 && positions >= 0.0).then(|| positions / rate)
}

fn line(progress: &Progress, began: Instant) -> serde_json::Value {
    let rate = rate(progress, began);
    json!({
        "stage": progress.stage(),
        "position": progress.at(),
        "upto": progress.upto(),
        "events_per_second": rate.round(),
        "seconds_left": left(progress, rate).map(f64::round),
        "events_folded": progress.folded(),
        "rows_written": progress.written(),
    })
}
