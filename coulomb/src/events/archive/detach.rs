//! A range goes out of the log, if nothing needs it there.

use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::event::AggregateType;
use event_store::archiving::{Detached, Range, WithoutState};
use schema::digest::{BLOCK_POSITIONS, positions_of};
use schema::log::{Position, StreamId};
use serde_json::json;

use super::job::{Job, Refused};
use super::needs;

/// How many open streams are named.
const NAMED_MAX: usize = 10;
/// How often it is tried while readers or appends have the range. Each time they wait for a tenth of a second at most.
const TRIES_MAX: u32 = 150;
const TRY_EVERY: Duration = Duration::from_millis(400);

/// A range that was archived, and verified in this run.
///
/// # Errors
/// [`Refused`] when something needs it, and then nothing was changed but for states that were stored.
pub async fn detach(job: &Job<'_>, range: &Range, save_states: bool) -> anyhow::Result<()> {
    let (first, last) = (range.first, range.last);
    let refused = |why: String| Err(Refused(format!("{} stay in the log: {why}", job.name(range))).into());
    let behind = needs::behind(job, last).await?;
    if let Some((consumer, reached)) = behind.first() {
        return refused(format!(
            "{consumer} read up to position {reached}. Wait until it has caught up, and run it again"
        ));
    }
    let parked = needs::parked(job, range).await?;
    if let Some((model, keys)) = parked.first() {
        return refused(format!(
            "{keys} keys of {model} are parked and wait for events of it. See `coulomb projections parked`, and retry or skip \
             them"
        ));
    }
    let (named, saved) = states(job, range, save_states).await.with_context(|| job.name(range))?;
    if !named.is_empty() {
        return refused(format!(
            "these could be loaded only by events that would go: {named}. With --save-states their states are stored first"
        ));
    }
    for _ in 0..TRIES_MAX {
        job.turn.is_ours()?;
        match job.store.detach_range(job.turn.lease(), job.class, first).await? {
            Detached::Now => {
                job.detached.lock().unwrap_or_else(PoisonError::into_inner).push(job.name(range));
                job.line("detached", range, json!({"states_saved": saved}));
                if !job.json {
                    let states = if saved == 0 { String::new() } else { format!(", after storing {saved} states") };
                    say!("Positions {first} to {last} of class {} are detached{states}.", job.class.as_str());
                }
                return Ok(());
            }
            Detached::Before => return Ok(()),
            Detached::Busy => tokio::time::sleep(TRY_EVERY).await,
        }
    }
    refused(
        "somebody reads the log without a pause. Look for long transactions in pg_stat_activity, and run it again"
            .into(),
    )
}

/// Sees to it that every open stream has a state above the range. Answers those that have none, and how many were stored.
async fn states(job: &Job<'_>, range: &Range, save: bool) -> anyhow::Result<(String, u64)> {
    let step = job.step("looking for open streams", range);
    let (mut named, mut saved) = (vec![], 0);
    let mut at = Position(range.first.0 - 1);
    while at < range.last && named.len() <= NAMED_MAX {
        let upto = positions_of(at.0 / BLOCK_POSITIONS).1.min(range.last);
        let streams = job.store.streams_without_state(job.class, at, upto).await?;
        for stream in needs::open(job, streams).await? {
            if save {
                store(job, &stream).await?;
                saved += 1;
            } else if !named.contains(&name(&stream)) {
                named.push(name(&stream));
            }
        }
        at = upto;
        step.at(at.0 - range.first.0 + 1);
    }
    let more = if named.len() > NAMED_MAX { ", and others" } else { "" };
    named.truncate(NAMED_MAX);
    Ok((named.join(", ") + more, saved))
}

async fn store(job: &Job<'_>, stream: &WithoutState) -> anyhow::Result<()> {
    let known = AggregateType::parse(&stream.aggregate_type);
    let saved = match known {
        Some(aggregate) => job.store.save_state(StreamId::new(aggregate, stream.id)).await,
        None => Ok(false),
    };
    if !saved.with_context(|| format!("the state of {} can't be stored", name(stream)))? {
        bail!("{} is of a kind that this program doesn't know: use the one that wrote it", name(stream));
    }
    Ok(())
}

fn name(stream: &WithoutState) -> String {
    format!("{}/{}", stream.aggregate_type, stream.id)
}
