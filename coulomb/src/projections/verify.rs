//! `coulomb projections verify`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use projection_service::verify::{self, Finding, Progress, Report};
use schema::view::Model;
use serde_json::json;

use super::model;
use crate::command_database::CommandDatabase;

const LINE_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Every payload of the log is hashed again and compared with the hash that was taken when it was appended; the digests over
these hashes with those that the log's caretaker has sealed, and with what the read models have written down as consumed.
Upcasters and erasure don't change any of them. Coulomb may run meanwhile.

Ends with an error if something is not as it was written down. With --json there is a line about once a second, and the report
as the last one.")]
pub struct Args {
    /// Of this read model; of all unless given
    #[arg(value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// JSON lines
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let bar = if !args.json && std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let began = Instant::now();
    let mut told = began;
    let store = database.store().await?;
    let report = verify::verify_with_archives((database.pool(), &store), args.model, |progress| {
        bar.set_length(progress.head.0.unsigned_abs());
        bar.set_position(progress.position.0.unsigned_abs());
        if args.json && told.elapsed() >= LINE_EVERY {
            told = Instant::now();
            say!("{}", line(progress, began));
        }
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    if args.json {
        let mut object = serde_json::to_value(&report)?;
        object["sound"] = report.is_sound().into();
        object["seconds"] = began.elapsed().as_secs_f64().into();
        say!("{object}");
    } else {
        show(&report, args.model);
    }
    if report.is_sound() {
        return Ok(());
    }
    anyhow::bail!("{} things are not as they were written down", report.findings_count)
}

fn line(progress: Progress, began: Instant) -> serde_json::Value {
    let rate = progress.position.0 as f64 / began.elapsed().as_secs_f64().max(0.001);
    let left = (progress.head.0 - progress.position.0) as f64 / rate.max(1.0);
    json!({
        "stage": "reading",
        "position": progress.position,
        "upto": progress.head,
        "events_per_second": rate.round(),
        "seconds_left": left.ceil(),
    })
}

fn show(report: &Report, model: Option<Model>) {
    let of = model.map_or("the read models", Model::name);
    if report.is_sound() {
        say!("{of}: position 1..{}, digest matches", report.position);
        say!("  {} events, sha256 {}", report.events, report.digest);
    } else {
        for finding in &report.findings {
            say!("{}", sentence(finding));
        }
        if report.findings_count > report.findings.len() {
            say!("... and {} more", report.findings_count - report.findings.len());
        }
    }
    if report.archived > 0 {
        say!("  {} of them from the archive", report.archived);
    }
    if report.head > report.position {
        say!("  the log goes on to position {}", report.head);
    }
    if report.not_kept > 0 {
        say!(
            "  the events of {} positions are not kept any more: of their blocks the records were compared",
            report.not_kept
        );
    }
    if report.unproven_to.0 > 0 {
        say!(
            "  up to position {} they were built before digests were kept: of that the log was checked, not what was \
             consumed; a rebuild proves it",
            report.unproven_to
        );
    }
    if report.parked_keys > 0 {
        say!(
            "  {} keys are parked and {} events wait with them: see `coulomb projections parked`",
            report.parked_keys,
            report.parked_events
        );
    }
}

fn sentence(finding: &Finding) -> String {
    match finding {
        Finding::PayloadAltered { position, partition, event_type } => {
            format!(
                "position {position} (partition {partition}): the payload of {event_type} is not the one that was appended"
            )
        }
        Finding::EventsMissing { first, last } if first == last => format!("position {first}: the event is missing"),
        Finding::EventsMissing { first, last } => format!("positions {first}..{last}: the events are missing"),
        Finding::ArchiveBroken { first, last, why } => format!("positions {first}..{last}: {why}"),
        Finding::NotAsSealed { partition, block, first, last, sealed, found } => format!(
            "positions {first}..{last}, partition {partition} (block {block}): not the events that were sealed \
             ({sealed}, now {found})"
        ),
        Finding::NotAsConsumed { partition, block, first, last, consumed, found, .. } => format!(
            "positions {first}..{last}, partition {partition} (block {block}): the read models have consumed something \
             else than what is in the log ({consumed}, the log has {found})"
        ),
        Finding::NeverConsumed { partition, block, first, last } => format!(
            "positions {first}..{last}, partition {partition} (block {block}): the read models say that they contain \
             them, and have no record of having consumed them"
        ),
        Finding::WrongCheckpoint { partition, checkpoint, consumed_to: Some(to) } => {
            format!("partition {partition}: the checkpoint says {checkpoint}, but what was consumed ends at {to}")
        }
        Finding::WrongCheckpoint { partition, checkpoint, consumed_to: None } => format!(
            "partition {partition}: what was consumed up to the checkpoint {checkpoint} is not what the log has there"
        ),
        Finding::PassedOver { partition, checkpoint, reached, position } => format!(
            "partition {partition}: says that it is at {reached}, but the event at {position}, after its checkpoint \
             {checkpoint}, was passed over"
        ),
        Finding::AheadOfLog { partition, reached, head } => {
            format!("partition {partition}: says that it is at {reached}, and the log ends at {head}")
        }
    }
}
