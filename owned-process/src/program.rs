//! What to run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The operating system's account that a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// Where a program is: in one of the places where distributions put it, or in PATH.
pub fn find(name: &str, places: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let directories = places.iter().map(PathBuf::from).chain(in_path);
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// A program with its arguments, and how its environment differs from its owner's.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// None: the variable is taken away.
    pub(crate) environment: Vec<(OsString, Option<OsString>)>,
    pub(crate) user: Option<User>,
    pub(crate) directory: Option<PathBuf>,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: vec![], environment: vec![], user: None, directory: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// A variable; of several by one name, the last holds.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(self, all: impl IntoIterator<Item = (N, V)>) -> Self {
        all.into_iter().fold(self, |program, (name, value)| program.env(name, value))
    }

    /// Takes away what the owner's environment has by names of which this is true.
    #[must_use]
    pub fn without(mut self, is_taken_away: impl Fn(&str) -> bool) -> Self {
        let names = std::env::vars_os().map(|(name, _)| name);
        let names = names.filter(|name| is_taken_away(&name.to_string_lossy()));
        self.environment.extend(names.map(|name| (name, None)));
        self
    }

    /// Where it is run; else where its owner is.
    #[must_use]
    pub fn in_directory(self, path: impl Into<PathBuf>) -> Self {
        Self { directory: Some(path.into()), ..self }
    }

    /// As another account, if any; only root can.
    #[must_use]
    pub fn run_as(self, user: Option<User>) -> Self {
        Self { user, ..self }
    }
}
