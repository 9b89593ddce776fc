//! A range, from the log into an archive.

use anyhow::{Context, bail};
use archive::manifest::{self, Manifest};
use archive::writer::RangeWriter;
use archive::{Location, location};
use event_store::archiving::{Folder, Range};
use uuid::Uuid;

use super::job::{Job, Refused};
use super::log::Events;

/// How many events lie between two looks at the progress.
const EVENTS_PER_LOOK: u64 = 1_000;

/// What was written, and where. It is not written down yet.
pub struct Written {
    pub place: Location,
    pub manifest: Manifest,
    pub sha256: [u8; 32],
}

/// Writes what is missing of a range and then its manifest, below `to`: where an interrupted run of this database has begun
/// it, else to a folder that nobody else has. `again`: always to such a one.
pub async fn write(job: &Job<'_>, range: &Range, to: &Location, again: bool) -> anyhow::Result<Written> {
    has_it(job, range).await?;
    let within = to.folder(&manifest::folder(job.class, range.first.0, range.last.0));
    let new = within.folder(&Uuid::now_v7().simple().to_string());
    let (span, below) = ((range.first, range.last), format!("{}/", within.url()));
    let begun = job.store.begin_folder(job.turn.lease(), job.class, span, (&below, new.url()), again).await?;
    let Some(name) = begun.url.strip_prefix(&below) else { bail!("{} is not below {below}", begun.url) };
    let place = within.folder(name);
    // Of a run that was killed before it was written down. What it is worth is seen when it is read back.
    match place.get(manifest::NAME).await {
        Ok(json) => match Manifest::from_json(&json) {
            Ok(manifest) => Ok(Written { place, manifest, sha256: manifest::sha256(&json) }),
            Err(_) if !again => Box::pin(write(job, range, to, true)).await,
            Err(error) => Err(anyhow::Error::new(error).context(place.url().to_owned())),
        },
        Err(location::Error::Missing { .. }) => write_into(job, range, place, begun).await,
        Err(error) => Err(error.into()),
    }
}

async fn write_into(job: &Job<'_>, range: &Range, place: Location, begun: Folder) -> anyhow::Result<Written> {
    let span = (range.first, range.last);
    let mut writer = RangeWriter::open(place.clone(), job.class, span, begun.done.as_deref()).await?;
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
        job.store.note_done(job.turn.lease(), &begun.url, &writer.done()?).await?;
        step.at(last.0 - range.first.0 + 1);
    }
    job.store.assert_lease(job.turn.lease()).await?;
    let (manifest, sha256) = writer.finish().await?;
    Ok(Written { place, manifest, sha256 })
}

/// What the log doesn't have can't be written: what there is of it is in its archive alone.
async fn has_it(job: &Job<'_>, range: &Range) -> anyhow::Result<()> {
    let ranges = job.store.archivable_ranges(job.class).await?;
    let now = ranges.into_iter().find(|now| now.first == range.first).context("the log knows that range no more")?;
    if now.attached && now.archive.as_ref().is_none_or(|archive| archive.detached_at.is_none()) {
        return Ok(());
    }
    let url = now.archive.map_or_else(|| "an archive".to_owned(), |archive| archive.url);
    Err(Refused(format!(
        "positions {} to {} of class {} are not in the log any more, so that they can't be written anew: bring the objects \
         of {url} back from where copies are kept",
        range.first,
        range.last,
        job.class.as_str()
    ))
    .into())
}
