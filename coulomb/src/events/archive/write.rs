//! A range, from the log into an archive.

use archive::Location;
use archive::manifest::Manifest;
use archive::writer::RangeWriter;
use event_store::archiving::Range;

use super::job::Job;
use super::log::Events;

/// How many events lie between two looks at the progress.
const EVENTS_PER_LOOK: u64 = 1_000;

/// Writes what is missing of a range and then its manifest. `again`: all of it, whatever is there.
pub async fn write(
    job: &Job<'_>,
    range: &Range,
    place: &Location,
    again: bool,
) -> anyhow::Result<(Manifest, [u8; 32])> {
    let mut writer = RangeWriter::open(place.clone(), job.class, range.first, range.last).await?;
    if again {
        writer.start_again().await?;
    }
    let step = job.step("writing", range);
    let mut count = 0_u64;
    for (first, last) in writer.missing() {
        let mut part = writer.part(first, last);
        let mut events = Events::of(job.store, job.class, first, last);
        while let Some(event) = events.next().await? {
            count += 1;
            if count.is_multiple_of(EVENTS_PER_LOOK) {
                step.at(event.position.0 - range.first.0 + 1);
                job.turn.is_ours()?;
            }
            part.push(event).await?;
        }
        job.turn.is_ours()?;
        writer.finish_part(part).await?;
        step.at(last.0 - range.first.0 + 1);
    }
    job.turn.is_ours()?;
    Ok(writer.finish().await?)
}
