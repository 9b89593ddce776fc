//! The runs: writing, verifying, detaching, range by range.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use archive::location;
use archive::{Location, writer};
use chrono::Utc;
use domain::envelope::Retention;
use event_store::archiving::{Archived, Range, Recorded};
use schema::log::Position;
use serde_json::json;

use super::job::{Job, Refused};
use super::turn::Turn;
use super::verify::{Checked, verify};
use super::write::{Written, write};
use super::{Command, WriteArgs, detach, needs};
use crate::Exit;
use crate::command_database::CommandDatabase;

pub async fn run(database: &CommandDatabase, command: Option<Command>, args: WriteArgs) -> anyhow::Result<()> {
    let to = args.to.as_deref().map(Location::parse).transpose()?;
    let store = database.store().await?;
    let turn = Turn::take(&store).await?;
    let detached = Mutex::default();
    let job = |class, json| Job { store: &store, pool: database.pool(), turn: &turn, class, json, detached: &detached };
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
    let detached = detached.lock().unwrap_or_else(PoisonError::into_inner);
    ran.map_err(|error| explain(error, &detached)).and(given_back)
}

async fn verify_classes<'a>(jobs: impl Iterator<Item = Job<'a>>) -> anyhow::Result<()> {
    let mut sound = true;
    for job in jobs {
        sound &= verify_all(&job).await?;
    }
    if sound { Ok(()) } else { Err(Exit(1).into()) }
}

/// What to do about storage that can't be used.
fn explain(error: anyhow::Error, detached: &[String]) -> anyhow::Error {
    let of_storage = error
        .chain()
        .any(|cause| cause.is::<location::Error>() || matches!(cause.downcast_ref(), Some(writer::Error::Location(_))));
    let gone = match detached {
        [] => "Nothing was taken out of the log".to_owned(),
        detached => format!("Taken out of the log before that, verified: {}; nothing else", detached.join(", ")),
    };
    if of_storage {
        return error
            .context(format!("the archive's storage can't be used. {gone}: run the same command again, it goes on"));
    }
    if detached.is_empty() { error } else { error.context(gone) }
}

/// What is wrong with ranges that could not go on, when all others have.
#[derive(Default)]
struct Refusals(Vec<String>);

impl Refusals {
    /// Takes note of a refusal.
    ///
    /// # Errors
    /// Whatever else went wrong.
    fn note<T>(&mut self, job: &Job<'_>, range: &Range, result: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
        match result.map_err(|error| error.downcast::<Refused>()) {
            Ok(done) => Ok(Some(done)),
            Err(Ok(Refused(why))) => {
                job.line("refused", range, json!({"why": why}));
                self.0.push(why);
                Ok(None)
            }
            Err(Err(error)) => Err(error),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(anyhow!(self.0.join("\n"))) }
    }
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
    let (mut done, mut rest, mut refusals) = (0, None, Refusals::default());
    for range in job.store.archivable_ranges(job.class).await? {
        match &range.archive {
            Some(archive) if archive.detached_at.is_some() => continue,
            None if !range.attached => continue,
            _ => {}
        }
        if let Some(why) = ripe.not_yet(job, &range).await? {
            job.line("waits", &range, json!({"why": why}));
            rest = Some((range.first, why));
            break;
        }
        let archived = archive_range(job, &range, to).await;
        let Some(archived) = refusals.note(job, &range, archived)? else { continue };
        done += u32::from(args.detach || matches!(archived, Archiving::Now(_)));
        if args.detach {
            let detached = detach_archived(job, &range, archived, args.save_states).await;
            refusals.note(job, &range, detached)?;
        }
    }
    if job.json {
        return refusals.end();
    }
    if done == 0 && refusals.0.is_empty() {
        say!("Nothing of class {} is to be archived now.", job.class.as_str());
    }
    match rest {
        Some((first, why)) => say!("From position {first} on it waits: {why}."),
        None => say!("The range in which the log ends follows when it is full."),
    }
    refusals.end()
}

/// Takes a range out that is archived, and reads it back unless that was just done.
async fn detach_archived(job: &Job<'_>, range: &Range, archived: Archiving, save_states: bool) -> anyhow::Result<()> {
    let checked = match archived {
        Archiving::Now(checked) => checked,
        Archiving::Before => again(job, range).await?,
    };
    if let Some(beside) = checked.beside.first() {
        let why = "its digests can't be proved without an archive beside it, which is damaged";
        return Err(Refused(format!(
            "{} stay in the log: {why}: {beside}. Bring that object back from where copies are kept, and run it again",
            job.name(range)
        ))
        .into());
    }
    detach::detach(job, range, save_states).await
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

/// What there was to do of a range.
enum Archiving {
    /// It was archived and verified before.
    Before,
    /// It is verified now.
    Now(Checked),
}

/// Writes a range unless it is archived, and reads it back unless that was done.
async fn archive_range(job: &Job<'_>, range: &Range, to: &Location) -> anyhow::Result<Archiving> {
    if let Some(archived) = &range.archive {
        if archived.verified_at.is_some() {
            return Ok(Archiving::Before);
        }
        let checked = verify(job, range, archived).await?;
        if checked.is_sound() {
            verified(job, range, archived, &checked).await?;
            return Ok(Archiving::Now(checked));
        }
        report(job, range, archived, &checked);
    }
    for again in [false, true] {
        let written = write(job, range, to, again).await?;
        let archived = of(&written)?;
        let checked = verify(job, range, &archived).await?;
        if checked.is_sound() {
            let Archived { url, manifest_sha256, events, bytes, .. } = &archived;
            let recorded = Recorded { url, manifest_sha256, events: *events, bytes: *bytes };
            job.store.record_archive(job.turn.lease(), job.class, (range.first, range.last), &recorded).await?;
            report(job, range, &archived, &checked);
            return Ok(Archiving::Now(checked));
        }
        report(job, range, &archived, &checked);
    }
    bail!("what is read back from {} is not what was written, twice: use other storage", to.url())
}

/// As it is going to be written down.
fn of(written: &Written) -> anyhow::Result<Archived> {
    Ok(Archived {
        url: written.place.url().to_owned(),
        manifest_sha256: written.sha256.to_vec(),
        events: i64::try_from(written.manifest.events).context("a manifest of too many events")?,
        bytes: i64::try_from(written.manifest.bytes()).context("a manifest of too many bytes")?,
        archived_at: Utc::now(),
        verified_at: None,
        detached_at: None,
    })
}

/// A sound archive is written down as such.
async fn verified(job: &Job<'_>, range: &Range, archived: &Archived, checked: &Checked) -> anyhow::Result<()> {
    if !job.store.record_verified(job.turn.lease(), job.class, range.first, &archived.manifest_sha256, true).await? {
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
        "damaged_beside": checked.beside, "strays": checked.strays,
    });
    job.line("verified", range, more);
    if job.json {
        return;
    }
    let what = format!("Positions {} to {} of class {}", range.first, range.last, job.class.as_str());
    for stray in &checked.strays {
        say!("{what}: {stray} is in no manifest, and nothing needs it: it may be removed from {}", archived.url);
    }
    for beside in &checked.beside {
        say!("{what}: an archive beside them is damaged, and their digests can't be proved without it: {beside}");
    }
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
async fn again(job: &Job<'_>, range: &Range) -> anyhow::Result<Checked> {
    let Some(archived) = &range.archive else { bail!("positions {} and on are not archived", range.first) };
    let checked = verify(job, range, archived).await?;
    if checked.is_sound() {
        verified(job, range, archived, &checked).await?;
        return Ok(checked);
    }
    report(job, range, archived, &checked);
    job.store.record_verified(job.turn.lease(), job.class, range.first, &archived.manifest_sha256, false).await?;
    let what = job.name(range);
    let why = match range.attached {
        true => format!(
            "{what} stay in the log: their archive is not what was written. Run `coulomb events archive` again, which writes \
             it anew"
        ),
        false => format!(
            "{what} are not in the log any more, and their archive is not what was written: bring the objects of {} back from \
             where copies are kept",
            archived.url
        ),
    };
    Err(Refused(why).into())
}

/// Answers whether all are sound.
async fn verify_all(job: &Job<'_>) -> anyhow::Result<bool> {
    let mut sound = true;
    for range in job.store.archivable_ranges(job.class).await? {
        let Some(archived) = &range.archive else { continue };
        let checked = verify(job, &range, archived).await?;
        job.store
            .record_verified(job.turn.lease(), job.class, range.first, &archived.manifest_sha256, checked.is_sound())
            .await?;
        report(job, &range, archived, &checked);
        if !checked.is_sound() && !job.json {
            match range.attached {
                false => {
                    say!("  The log has none of it any more: bring these objects back from where copies are kept.")
                }
                true => say!("  The log has all of it: run `coulomb events archive` again, which writes it anew."),
            }
        }
        sound &= checked.is_sound() && checked.beside.is_empty();
    }
    Ok(sound)
}

async fn detach_all(job: &Job<'_>, save_states: bool) -> anyhow::Result<()> {
    let (mut none, mut refusals) = (true, Refusals::default());
    for range in job.store.archivable_ranges(job.class).await? {
        let Some(archived) = &range.archive else { continue };
        if archived.detached_at.is_some() {
            continue;
        }
        none = false;
        let detached = detach_archived(job, &range, Archiving::Before, save_states).await;
        refusals.note(job, &range, detached)?;
    }
    if none && !job.json {
        say!("Nothing of class {} is archived that the log still has.", job.class.as_str());
    }
    refusals.end()
}
