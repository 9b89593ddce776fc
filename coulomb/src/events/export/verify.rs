//! `coulomb events export --verify`: whether every file is what its manifest says.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::bail;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::folder::{data_files, read_manifests, read_plan};
use super::manifest::{FileEntry, Manifest, hex};
use crate::Exit;

const CHUNK_BYTES: usize = 1024 * 1024;

/// # Errors
/// [`Exit`] with 1 when something is wrong, which has been said then.
pub fn verify(folder: &Path, json: bool) -> anyhow::Result<()> {
    let Some(plan) = read_plan(folder)? else {
        bail!("{} is no export: it has no _manifest/export.json", folder.display());
    };
    let ranges = read_manifests(folder)?;
    let (mut wrong, mut events, mut bytes) = (vec![], 0, 0);
    let mut known = BTreeSet::new();
    let (mut at, mut previous) = (plan.after_position, None);
    for (manifest, hash) in &ranges {
        wrong.extend(out_of_line(manifest, at, previous));
        (at, previous) = (manifest.last_position, Some(hash));
        for file in &manifest.files {
            wrong.extend(differs(folder, file)?);
            known.insert(folder.join(&file.path));
            bytes += file.bytes;
        }
        let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
        if rows != manifest.events {
            wrong.push(format!(
                "positions {} to {}: {rows} rows, {} events",
                manifest.first_position, at, manifest.events
            ));
        }
        events += manifest.events;
    }
    for file in data_files(folder)? {
        if !known.contains(&file) {
            wrong.push(format!("{}: is of no manifest", file.display()));
        }
    }
    let files = known.len();
    if json {
        let (first, generation) = (plan.after_position + 1, ranges.last().map(|(manifest, _)| manifest.generation));
        say!(
            "{}",
            json!({"first_position": first, "last_position": at, "generation": generation, "ranges": ranges.len(),
                "events": events, "files": files, "bytes": bytes, "wrong": wrong})
        );
    } else {
        for wrong in &wrong {
            say!("{wrong}");
        }
        match wrong.is_empty() {
            true => say!(
                "Positions {} to {at}: {events} events in {files} files match their manifests.",
                plan.after_position + 1
            ),
            false => say!(
                "{} wrong. To have a range written anew, remove its manifest and the later ones from {}, and export again.",
                wrong.len(),
                folder.join("_manifest").display()
            ),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Exit(1).into()) }
}

/// Ranges follow each other without a gap, and each names the one before it.
fn out_of_line(manifest: &Manifest, at: i64, previous: Option<&String>) -> Option<String> {
    let Manifest { first_position: first, last_position: last, .. } = manifest;
    if *first != at + 1 {
        return Some(format!("positions {first} to {last}: what comes before them ends at {at}"));
    }
    if manifest.previous_manifest.as_ref() != previous {
        return Some(format!("positions {first} to {last}: the manifest before theirs was changed"));
    }
    None
}

fn differs(folder: &Path, entry: &FileEntry) -> anyhow::Result<Option<String>> {
    let mut file = match File::open(folder.join(&entry.path)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(format!("{}: is missing", entry.path))),
        Err(error) => return Ok(Some(format!("{}: can't be read: {error}", entry.path))),
    };
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => hash.update(&chunk[..read]),
        }
    }
    Ok((hex(&hash.finalize()) != entry.sha256).then(|| format!("{}: differs from its SHA-256", entry.path)))
}
