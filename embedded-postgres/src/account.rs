//! The operating system's account that the server runs as.

use std::ffi::OsStr;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use owned_process::User;

use crate::error::Error;

/// Those that may be found on a machine, the better one first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Us, or, where we are root, whom Postgres runs as instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    Own,
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Chooses the account for a cluster in `data`, which may not exist yet. An existing one keeps its owner.
    pub(crate) fn choose(data: &Path) -> Result<Self, Error> {
        let us = geteuid();
        let owner = std::fs::metadata(data).ok().map(|data| (data.uid(), data.gid()));
        match owner {
            Some((uid, gid)) if us.is_root() && uid != 0 => return Ok(Self::Other { uid, gid }),
            Some((uid, _)) if !us.is_root() && uid != us.as_raw() => {
                return Err(Error::ForeignOwner { path: data.to_owned(), owner: uid });
            }
            _ => {}
        }
        if !us.is_root() {
            return Ok(Self::Own);
        }
        let known = CANDIDATES.iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
        known.map(|user| Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() }).ok_or(Error::NoAccount)
    }

    /// None: us.
    pub(crate) fn user(self) -> Option<User> {
        match self {
            Self::Own => None,
            Self::Other { uid, gid } => Some(User { uid, gid }),
        }
    }

    /// A command that runs as this account, in a directory that every account can enter. Supplementary groups of root
    /// are dropped with the user id.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Whether the account can reach `directory` through all of its parents.
    pub(crate) fn reaches(self, directory: &Path) -> bool {
        let mut command = self.command("sh");
        command.args(["-c", r#"cd "$1""#, "sh"]).arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Hands a file or directory over to the account.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(Error::file("can't hand over", path))
            }
        }
    }

    /// Makes a directory of ours that the account can pass through, and nobody can list.
    pub(crate) fn make_passable(self, path: &Path) -> Result<(), Error> {
        let mode = if self == Self::Own { 0o700 } else { 0o711 };
        DirBuilder::new().recursive(true).mode(mode).create(path).map_err(Error::file("can't create", path))?;
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("can't set the mode of", path))
    }

    /// Makes a directory that belongs to the account alone, unless it is there.
    pub(crate) fn make_own(self, path: &Path) -> Result<(), Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("can't create", path))?;
        self.own(path)
    }
}
