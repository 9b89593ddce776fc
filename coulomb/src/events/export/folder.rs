//! The folder of an export: what is in it is whole.
//!
//! `_manifest/export.json` is the plan, `_manifest/<first>-<last>.json` a range; files of a range are at
//! `<table>/day=<day>/<first>-<last>.<format>`. What is being written is in `_unfinished`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use schema::log::{Generation, Position};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Format;
use super::manifest::{FileEntry, Manifest, Plan, hex};

const MANIFESTS: &str = "_manifest";
const UNFINISHED: &str = "_unfinished";
const PLAN: &str = "export.json";
const LOCK: &str = "lock";

pub struct Folder {
    path: PathBuf,
    /// Two exports into one folder would take each other's files for remains.
    _lock: Flock<File>,
    last: Option<(Position, String)>,
}

impl Folder {
    /// A new export, or one of the same plan to go on with. What an interrupted one has left half is removed.
    pub fn open(path: &Path, plan: &Plan, generation: Generation) -> anyhow::Result<Self> {
        let manifests = path.join(MANIFESTS);
        if path.exists() && !manifests.exists() && fs::read_dir(path)?.next().is_some() {
            bail!("{} is not empty and is no export: choose another folder with --to", path.display());
        }
        fs::create_dir_all(&manifests)?;
        let lock = File::options().create(true).truncate(false).write(true).open(manifests.join(LOCK))?;
        let Ok(lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else {
            bail!("another export into {} is under way: wait until it has ended", path.display());
        };
        match read_plan(path)? {
            None => write_new(&path.join(UNFINISHED), &manifests.join(PLAN), plan).map(|_| ())?,
            Some(there) if there == *plan => {}
            Some(there) => bail!(
                "{} holds an export of another plan: {}, and this is {}. Choose another folder with --to, or export with the \
                 same options as before",
                path.display(),
                serde_json::to_string(&there)?,
                serde_json::to_string(plan)?
            ),
        }
        let ranges = read_manifests(path)?;
        let last = ranges.last().map(|(manifest, hash)| (Position(manifest.last_position), hash.clone()));
        if let Some((manifest, _)) = ranges.iter().find(|(manifest, _)| manifest.generation != generation.0) {
            bail!(
                "{} holds positions of generation {} of the log, which is of generation {} now: it was restored, and may have \
                 lost some of them. Export into a new folder",
                path.display(),
                manifest.generation,
                generation.0
            );
        }
        let folder = Self { path: path.to_owned(), _lock: lock, last };
        folder.remove_remains(plan.format)?;
        Ok(folder)
    }

    /// The last position that is exported.
    pub fn reached(&self) -> Option<Position> {
        self.last.as_ref().map(|(position, _)| *position)
    }

    /// SHA-256 of the last manifest.
    pub fn last_manifest(&self) -> Option<String> {
        self.last.as_ref().map(|(_, hash)| hash.clone())
    }

    /// A place for files that are not whole. They go with it.
    pub fn begin(&self) -> io::Result<Unfinished> {
        let place = self.path.join(UNFINISHED);
        remove(&place)?;
        fs::create_dir_all(&place)?;
        Ok(Unfinished(place))
    }

    /// Moves the files of a range into place, and then its manifest: from there on they count.
    pub fn publish(&mut self, unfinished: Unfinished, manifest: &Manifest) -> anyhow::Result<()> {
        let moved = move_all(&unfinished.0, &self.path, &manifest.files).and_then(|()| {
            let name = format!("{}.json", range_name(manifest.first_position, manifest.last_position));
            write_new(&unfinished.0, &self.path.join(MANIFESTS).join(name), manifest)
        });
        match moved {
            Ok(hash) => {
                self.last = Some((Position(manifest.last_position), hash));
                Ok(())
            }
            Err(error) => {
                for file in &manifest.files {
                    // If it can't be removed now, the next export does it.
                    let _ = fs::remove_file(self.path.join(&file.path));
                }
                Err(error.into())
            }
        }
    }

    /// Of an export that was killed between its files and their manifest.
    fn remove_remains(&self, format: Format) -> anyhow::Result<()> {
        remove(&self.path.join(UNFINISHED))?;
        let reached = self.reached().map_or(0, |position| position.0);
        for file in data_files(&self.path)? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if first_position(name, format).is_some_and(|first| first > reached) {
                fs::remove_file(&file).with_context(|| format!("can't remove {}", file.display()))?;
            }
        }
        Ok(())
    }
}

/// Removed with all that is in it.
pub struct Unfinished(PathBuf);

impl Unfinished {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // If it can't be removed now, the next export does it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// With so many digits that names are in the order of positions.
pub fn range_name(first: i64, last: i64) -> String {
    format!("{first:019}-{last:019}")
}

fn first_position(name: &str, format: Format) -> Option<i64> {
    let range = name.strip_suffix(&format!(".{}", format.extension()))?;
    range.split_once('-')?.0.parse().ok()
}

impl Format {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// Every file at `<table>/day=<day>/`.
pub fn data_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![];
    for table in fs::read_dir(path)? {
        let table = table?;
        if table.file_name().to_string_lossy().starts_with('_') || !table.file_type()?.is_dir() {
            continue;
        }
        for day in fs::read_dir(table.path())? {
            let day = day?;
            if !day.file_name().to_string_lossy().starts_with("day=") || !day.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(day.path())? {
                files.push(file?.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

pub fn read_plan(path: &Path) -> anyhow::Result<Option<Plan>> {
    let place = path.join(MANIFESTS).join(PLAN);
    match fs::read_to_string(&place) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| format!("{} is damaged", place.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All ranges, in the order of their positions, each with the hash of its manifest.
pub fn read_manifests(path: &Path) -> anyhow::Result<Vec<(Manifest, String)>> {
    let mut ranges = vec![];
    for entry in fs::read_dir(path.join(MANIFESTS))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == PLAN || name == LOCK || !name.ends_with(".json") {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        let manifest: Manifest = serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is damaged: remove it and the later ones, and export again", entry.path().display())
        })?;
        ranges.push((manifest, hex(&Sha256::digest(&bytes))));
    }
    ranges.sort_by_key(|(manifest, _)| manifest.first_position);
    Ok(ranges)
}

fn move_all(from: &Path, to: &Path, files: &[FileEntry]) -> io::Result<()> {
    for file in files {
        let place = to.join(&file.path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
            fs::rename(from.join(&file.path), &place)?;
            File::open(folder)?.sync_all()?;
        }
    }
    Ok(())
}

/// Written aside and renamed: it is whole or not there. Gives its SHA-256.
fn write_new(aside: &Path, place: &Path, value: &impl Serialize) -> io::Result<String> {
    let text = format!("{}\n", serde_json::to_string_pretty(value)?);
    fs::create_dir_all(aside)?;
    let unfinished = aside.join("manifest");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, place)?;
    if let Some(folder) = place.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(hex(&Sha256::digest(text.as_bytes())))
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
