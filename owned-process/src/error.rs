//! Why a process, or what it needs, can't be had.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is in use by {}; stop it, or choose another directory", path.display(), owner(*pid))]
    InUse { path: PathBuf, pid: Option<i32> },

    #[error("no free port on 127.0.0.1 between {first} and {last}")]
    NoPort { first: u16, last: u16 },

    #[error("{} of an earlier run (process {pid}) does not end; end it by hand: kill -KILL {pid}", program.display())]
    LeftoverStays { program: PathBuf, pid: u32 },

    #[error("{what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },

    #[error("{} can't be run", program.display())]
    Spawn { program: PathBuf, source: io::Error },
}

impl Error {
    /// For `map_err` on what was being done to a file: `.map_err(Error::file("can't read", &path))`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

fn owner(pid: Option<i32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
