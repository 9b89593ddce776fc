//! The runs: writing, verifying, detaching, range by range.

use anyhow::{Context, anyhow, bail};
use archive::location;
use archive::manifest::{self, Manifest};
use archive::{Location, writer};
use chrono::Utc;
use domain::envelope::Retention;
use event_store::archiving::{Archived, Range};
use schema::log::Position;
use serde_json::json;

use super::job::Job;
use super::turn::Turn;
use super::verify::{Checked, verify};
use super::write::write;
use super::{Command, WriteArgs, detach, needs};
use crate::Exit;
use crate::command_database::CommandDatabase;

pub async fn run(database: &CommandDatabase, command: Option<Command>, args: WriteArgs) -> anyhow::Result<()> {
    let to = args.to.as_deref().map(Location::parse).transpose()?;
    let store = database.store().await?;
    let turn = Turn::take(&store).await?;
    let job = |class, json| Job { store: &store, pool: database.pool(), turn: &turn, class, json };
    let ran = match command {
        None => match (args.class, args.before, &to) {
            (Some(class), Some(before), Some(to)) => {
                archive_all(&job(class, args.json), before.at(Utc::now()), to, &args).await
            }
            _ => Err(anyhow!("give --class, --before and --to")),
        },
        Some(Command::Verify(args)) => {
            let classes = args.class.map_or(Retention::ALL.to_vec(), |class| vec![class]);
            verify_classes(classes.into_iter().map(|class| job(class, args.json))).await
        }
        Some(Command::Detach(args)) => detach_all(&job(args.class, args.json), args.save_states).await,
        Some(Command::List(_)) => Ok(()),
    };
    // What went wrong says more than that the lease was not given back, which lapses.
    let given_back = turn.give_back().await;
    ran.map_err(explain).and(given_back)
}

async fn verify_classes<'a>(jobs: impl Iterator<Item = Job<'a>>) -> anyhow::Result<()> {
    let mut sound = true;
    for job in jobs {
        sound &= verify_all(&job).await?;
    }
    if sound { Ok(()) } else { Err(Exit(1).into()) }
}

/// What to do about storage that can't be used.
fn explain(error: anyhow::Error) -> anyhow::Error {
    let of_storage = error
        .chain()
        .any(|cause| cause.is::<location::Error>() || matches!(cause.downcast_ref(), Some(writer::Error::Location(_))));
    if !of_storage {
        return error;
    }
    error.context(
        "the archive's storage can't be used. Nothing was taken out of the log: run the same command again, it goes on",
    )
}

/// Everything that may be archived and isn't, in the order of positions.
async fn archive_all(
    job: &Job<'_>,
    before: chrono::DateTime<Utc>,
    to: &Location,
    args: &WriteArgs,
) -> anyhow::Result<()> {
    job.store.seal_digests().await?;
    let ripe = Ripe { sealed: job.store.sealed_to().await?, recorded: job.store.recorded_to(before).await? };
    let (mut done, mut rest) = (0, None);
    for range in job.store.archivable_ranges(job.class).await? {
        match &range.archive {
            Some(archive) if archive.detached_at.is_some() => continue,
            None if !range.attached => continue,
            _ => {}
        }
        if let Some(why) = ripe.not_yet(job, &range).await? {
            rest = Some((range.first, why));
            break;
        }
        let fresh = archive_range(job, &range, to).await?;
        if args.detach {
            if !fresh {
                again(job, &range).await?;
            }
            detach::detach(job, &range, args.save_states).await?;
        }
        done += u32::from(fresh || args.detach);
    }
    if job.json {
        return Ok(());
    }
    if done == 0 {
        say!("Nothing of class {} is to be archived now.", job.class.as_str());
    }
    match rest {
        Some((first, why)) => say!("From position {first} on it waits: {why}."),
        None => say!("The range in which the log ends follows when it is full."),
    }
    Ok(())
}

/// How far the log is of an age to be archived.
struct Ripe {
    sealed: Position,
    recorded: Position,
}

impl Ripe {
    async fn not_yet(&self, job: &Job<'_>, range: &Range) -> anyhow::Result<Option<String>> {
        let Range { first, last, .. } = range;
        if *last > self.recorded {
            return Ok(Some(format!("positions {first} to {last} were not all recorded before that time")));
        }
        if *last > self.sealed {
            return Ok(Some(format!("digests are sealed up to position {}, and then in whole blocks", self.sealed)));
        }
        let behind = needs::behind(job, *last).await?;
        Ok(behind.first().map(|(consumer, reached)| format!("{consumer} read up to position {reached}")))
    }
}

/// Writes a range unless it is archived, and reads it back unless that was done. False: there was nothing to do.
async fn archive_range(job: &Job<'_>, range: &Range, to: &Location) -> anyhow::Result<bool> {
    let archived = match &range.archive {
        Some(archive) if archive.verified_at.is_some() => return Ok(false),
        Some(archive) => archive.clone(),
        None => {
            let place = to.folder(&manifest::folder(job.class, range.first.0, range.last.0));
            let written = match there(&place).await? {
                There::Manifest(found) => *found,
                There::Nothing => write(job, range, &place, false).await?,
                There::Other => write(job, range, &place, true).await?,
            };
            record(job, range, &place, written).await?
        }
    };
    let checked = verify(job, range, &archived).await?;
    if checked.is_sound() {
        return verified(job, range, &archived, &checked).await.map(|()| true);
    }
    // What an earlier run has left there. The log still has all of it.
    report(job, range, &archived, &checked);
    let place = Location::parse(&archived.url)?;
    let archived = record(job, range, &place, write(job, range, &place, true).await?).await?;
    let checked = verify(job, range, &archived).await?;
    if checked.is_sound() {
        return verified(job, range, &archived, &checked).await.map(|()| true);
    }
    report(job, range, &archived, &checked);
    bail!(
        "what is read back from {} is not what was written, twice: use other storage. Nothing was taken out of the log",
        archived.url
    )
}

/// What is in the place of a manifest that nobody has written down.
enum There {
    Nothing,
    /// That of a run that was killed before it wrote it down.
    Manifest(Box<(Manifest, [u8; 32])>),
    /// It is no manifest, or of another program.
    Other,
}

async fn there(place: &Location) -> anyhow::Result<There> {
    match place.get(manifest::NAME).await {
        Ok(json) => Ok(match Manifest::from_json(&json) {
            Ok(manifest) => There::Manifest(Box::new((manifest, manifest::sha256(&json)))),
            Err(_) => There::Other,
        }),
        Err(location::Error::Missing { .. }) => Ok(There::Nothing),
        Err(error) => Err(error.into()),
    }
}

async fn record(
    job: &Job<'_>,
    range: &Range,
    place: &Location,
    (manifest, sha256): (Manifest, [u8; 32]),
) -> anyhow::Result<Archived> {
    let events = i64::try_from(manifest.events).context("a manifest of too many events")?;
    let bytes = i64::try_from(manifest.bytes()).context("a manifest of too many bytes")?;
    job.turn.is_ours()?;
    job.store.record_archive(job.class, (range.first, range.last), place.url(), sha256, (events, bytes)).await?;
    Ok(Archived {
        url: place.url().to_owned(),
        manifest_sha256: sha256.to_vec(),
        events,
        bytes,
        archived_at: Utc::now(),
        verified_at: None,
        detached_at: None,
    })
}

/// A sound archive is written down as such.
async fn verified(job: &Job<'_>, range: &Range, archived: &Archived, checked: &Checked) -> anyhow::Result<()> {
    if !job.store.record_verified(job.class, range.first, &archived.manifest_sha256, true).await? {
        bail!("positions {} to {} were archived anew meanwhile: run it again", range.first, range.last);
    }
    report(job, range, archived, checked);
    Ok(())
}

/// What came of reading an archive back.
fn report(job: &Job<'_>, range: &Range, archived: &Archived, checked: &Checked) {
    let wrong: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    let more = json!({
        "url": archived.url, "events": archived.events, "bytes": archived.bytes, "sound": checked.is_sound(),
        "findings": wrong, "findings_count": checked.count, "unproven_blocks": checked.unproven_blocks,
    });
    job.line("verified", range, more);
    if job.json {
        return;
    }
    let what = format!("Positions {} to {} of class {}", range.first, range.last, job.class.as_str());
    if checked.is_sound() {
        let against = if range.attached { "row by row what the log has" } else { "what was archived" };
        say!(
            "{what}: {} events, {:.1} MB in {}: {against}, and the sealed digests match.",
            archived.events,
            archived.bytes as f64 / 1e6,
            archived.url
        );
        if checked.unproven_blocks > 0 {
            say!(
                "  {} blocks have positions of which other events were dropped for good: no digest is left to compare with",
                checked.unproven_blocks
            );
        }
        return;
    }
    say!("{what}: {} things are wrong in {}", checked.count, archived.url);
    for finding in &wrong {
        say!("  {finding}");
    }
    if checked.count > wrong.len() {
        say!("  ... and {} more", checked.count - wrong.len());
    }
}

/// Reads an archive back that was verified before.
///
/// # Errors
/// When it is not sound any more; it does not count as verified then.
async fn again(job: &Job<'_>, range: &Range) -> anyhow::Result<()> {
    let Some(archived) = &range.archive else { bail!("positions {} and on are not archived", range.first) };
    let checked = verify(job, range, archived).await?;
    if checked.is_sound() {
        return verified(job, range, archived, &checked).await;
    }
    report(job, range, archived, &checked);
    job.store.record_verified(job.class, range.first, &archived.manifest_sha256, false).await?;
    bail!(
        "positions {} to {} of class {} stay in the log: their archive is not what was written. Run `coulomb events archive` \
         again, which writes it anew",
        range.first,
        range.last,
        job.class.as_str()
    )
}

/// Answers whether all are sound.
async fn verify_all(job: &Job<'_>) -> anyhow::Result<bool> {
    let mut sound = true;
    for range in job.store.archivable_ranges(job.class).await? {
        let Some(archived) = &range.archive else { continue };
        let checked = verify(job, &range, archived).await?;
        job.store.record_verified(job.class, range.first, &archived.manifest_sha256, checked.is_sound()).await?;
        report(job, &range, archived, &checked);
        if !checked.is_sound() && !job.json {
            match archived.detached_at {
                Some(_) => {
                    say!("  The log has none of it any more: bring these objects back from where copies are kept.")
                }
                None => say!("  The log has all of it: run `coulomb events archive` again, which writes it anew."),
            }
        }
        sound &= checked.is_sound();
    }
    Ok(sound)
}

async fn detach_all(job: &Job<'_>, save_states: bool) -> anyhow::Result<()> {
    let mut none = true;
    for range in job.store.archivable_ranges(job.class).await? {
        let Some(archived) = &range.archive else { continue };
        if archived.detached_at.is_some() {
            continue;
        }
        none = false;
        again(job, &range).await?;
        detach::detach(job, &range, save_states).await?;
    }
    if none && !job.json {
        say!("Nothing of class {} is archived that the log still has.", job.class.as_str());
    }
    Ok(())
}
