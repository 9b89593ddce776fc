//! `coulomb log recover`.

use std::io::IsTerminal;

use anyhow::Context;
use chrono::SecondsFormat;
use event_store::kafka::relay;
use event_store::lineage::{KafkaTail, LOST_MAX, Recovery, Step};
use schema::log::Position;

use super::said::Recover;
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Without --yes it only says what it finds and what it would do. Cut off at any moment, the same command carries it on.")]
pub struct Args {
    /// The highest position that anybody has seen, where there is no Kafka that knows
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    upto: Option<i64>,

    /// Do it
    #[arg(long)]
    yes: bool,

    /// Lost positions that are filled; more are rather a mistyped --upto
    #[arg(long, value_name = "POSITIONS", default_value_t = LOST_MAX, value_parser = clap::value_parser!(i64).range(0..))]
    at_most: i64,

    /// Why, for the log: what happened, in your words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(settings: &Settings, database: &CommandDatabase, args: &Args) -> anyhow::Result<()> {
    let store = super::store(database).await?;
    let tails = tails(settings).await?;
    let plan = Recovery::plan(&store, tails.as_deref(), args.upto.map(Position), args.at_most).await?;
    let ahead = ahead_of(database, plan.head).await?;
    if !args.json {
        tell(&plan, tails.as_deref(), &ahead);
    }
    let does = args.yes && !plan.unneeded;
    if does {
        let screen = std::io::stderr().is_terminal();
        let mut done = None;
        let step = |step| match step {
            Step::Filled { left } if screen => eprint!("\r{left} positions left to be filled          "),
            Step::Begun { .. } | Step::Filled { .. } => {}
            Step::Done { generation, position } => done = Some((generation, position)),
        };
        let ran = plan.run(&store, args.reason.as_deref(), step).await;
        if screen {
            eprintln!();
        }
        ran.context("the recovery is not complete; the same command carries it on")?;
        if let Some((generation, position)) = done.filter(|_| !args.json) {
            say!("Generation {} has begun, told of at position {position}. Events are appended again.", generation.0);
            say!("The relay and all processes go on by themselves, within seconds: see `coulomb log status`.");
        }
    } else if !plan.unneeded && !args.json {
        let upto = args.upto.map(|upto| format!(" --upto {upto}")).unwrap_or_default();
        say!("Nothing was changed. To do it: coulomb log recover{upto} --yes");
    }
    if args.json {
        say!("{}", serde_json::to_string(&Recover::of(&plan, does))?);
    }
    Ok(())
}

/// What Kafka has; none: no brokers are named.
async fn tails(settings: &Settings) -> anyhow::Result<Option<Vec<KafkaTail>>> {
    let Some(options) = settings.kafka.options()? else { return Ok(None) };
    let tails = relay::last_records(&options).await.context(
        "what Kafka has of the log can't be read, and without it nobody knows what is lost. If Kafka is gone for good, unset \
         KAFKA_BROKERS and give --upto",
    )?;
    Ok(Some(tails))
}

/// What was made of events that the log has not.
async fn ahead_of(database: &CommandDatabase, head: Position) -> anyhow::Result<Vec<String>> {
    let statement = sqlx::query_scalar(include_str!("ahead.sql")).bind(head.0);
    statement.fetch_all(database.pool()).await.context("how far the read models are can't be read")
}

fn tell(plan: &Recovery, tails: Option<&[KafkaTail]>, ahead: &[String]) {
    let at = plan.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (head, generation) = (plan.head, plan.generation.0);
    match head {
        Position::START => say!("The log, of generation {generation}, has no event."),
        _ => say!("The log, of generation {generation}, ends at position {head}, recorded at {at}."),
    }
    if let Some(tails) = tails {
        let highest = tails.iter().map(|tail| tail.position).max().unwrap_or_default();
        match (plan.kafka_upto.unwrap_or_default(), highest) {
            (_, Position::START) => say!("Kafka has nothing of it."),
            (Position::START, _) => say!("Kafka's last records, up to position {highest}, are known to be lost."),
            (counts, _) => {
                say!("Kafka has it up to position {counts}.");
                if counts < highest {
                    say!(
                        "Its records up to position {highest} are of former generations and known to be lost: they count for nothing."
                    );
                }
            }
        }
    }
    if plan.unneeded {
        say!("Nothing is lost, and events are appended: there is nothing to recover.");
        return;
    }
    let lost = plan.lost_positions();
    match (plan.resumes, lost) {
        (true, _) => say!("A recovery was cut off: {lost} positions, up to {}, are left to be filled.", plan.lost_upto),
        (false, 0) if plan.shared_upto < head => {
            say!("No position is missing, but after position {} Kafka has other events than the log.", plan.shared_upto)
        }
        (false, 0) => say!("No position is missing."),
        (false, _) => {
            say!("Lost: positions {} to {}, {lost} events, all recorded after {at}.", head.0 + 1, plan.lost_upto)
        }
    }
    for ahead in ahead {
        say!("{ahead}");
    }
    if plan.resumes {
        say!("What is done: the rest is filled, and events are appended again.");
        return;
    }
    let next = generation + 1;
    say!(
        "What is done: generation {next} begins; each lost position gets an event PositionLost; the numbers of transactions"
    );
    say!(
        "go on past any that was given out; then events are appended again, from position {} on.",
        plan.lost_upto.0 + 2
    );
}
