//! Finding the installed server binaries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The oldest major version of Postgres that works.
pub const VERSION_MIN: u32 = 14;

/// The directories that hold one folder per version, and what follows the version. Debian's, then PGDG's for RPMs.
const LAYOUTS: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// One installed set of server binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub bin: PathBuf,
    pub major: u32,
}

impl Installation {
    /// The newest installed one, or the newest of `major` where existing data asks for it.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::TooOld`].
    pub fn find(major: Option<u32>) -> Result<Self, Error> {
        Self::find_in(&places(), major)
    }

    /// [`Installation::find`] among the given directories.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::TooOld`].
    pub fn find_in(places: &[PathBuf], major: Option<u32>) -> Result<Self, Error> {
        let found = places.iter().filter_map(|bin| Self::at(bin));
        let newest = found
            .filter(|candidate| major.is_none_or(|wanted| wanted == candidate.major))
            .max_by_key(|candidate| candidate.major)
            .ok_or(Error::Missing)?;
        if newest.major < VERSION_MIN {
            return Err(Error::TooOld { found: newest.major, bin: newest.bin });
        }
        Ok(newest)
    }

    /// What is in one directory: it counts when it has both programs and the server tells its version.
    fn at(bin: &Path) -> Option<Self> {
        // A distribution may link one of the two into PATH; the other is where the link points.
        let postgres = bin.join("postgres").canonicalize().ok()?;
        let bin = postgres.parent()?.to_owned();
        if !bin.join("initdb").exists() {
            return None;
        }
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { bin, major })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn places() -> Vec<PathBuf> {
    let mut places = BTreeSet::new();
    for (parent, prefix) in LAYOUTS {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let versions = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        places.extend(versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.is_dir()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path));
    places.into_iter().collect()
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` or `… 18beta1`.
fn major_of(output: &str) -> Option<u32> {
    let version = output.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        let table = [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres", None),
        ];
        for (said, major) in table {
            assert_eq!(major_of(said), major, "{said}");
        }
    }
}
