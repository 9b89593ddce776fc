//! Where the parts of one private Postgres are.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::Error;

/// Where clusters go that their account could not reach: system state, closed to everybody else.
const ELSEWHERE: &str = "/var/lib/coulomb";
/// What a socket's address can hold (`sun_path`), less `/.s.PGSQL.65535` and the closing zero.
const SOCKET_DIRECTORY_BYTES_MAX: usize = 92;

#[derive(Debug)]
pub(crate) struct Directory {
    /// Ours: lock, password, port, log.
    home: PathBuf,
    /// The account's: cluster, socket and pids. The same as `home` unless the account can't reach that.
    server: PathBuf,
    pub(crate) account: Account,
}

impl Directory {
    /// Opens or makes the directory, and settles which account owns the cluster in it.
    pub(crate) fn open(home: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(home).map_err(Error::file("can't create", home))?;
        let home = home.canonicalize().map_err(Error::file("can't find", home))?;
        let moved = read_location(&home)?;
        let server = moved.clone().unwrap_or_else(|| home.clone());
        let account = Account::choose(&server.join("data"))?;
        account.make_passable(&home)?;
        let server = match moved {
            Some(server) => server,
            None if account.reaches(&home) => home.clone(),
            None => move_elsewhere(&home, account)?,
        };
        let directory = Self { home, server, account };
        account.make_own(&directory.socket())?;
        account.make_own(&directory.pids())?;
        Ok(directory)
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.server.join("data")
    }

    /// A cluster in the making; renamed to [`Directory::data`] when it is whole.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.server.join("data.unfinished")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.server.join("socket")
    }

    /// Where the server leaves word of its process.
    pub(crate) fn pids(&self) -> PathBuf {
        self.server.join("pids")
    }

    /// The socket's directory, unless its path is too long for an address.
    pub(crate) fn usable_socket(&self) -> Option<PathBuf> {
        Some(self.socket()).filter(|path| path.as_os_str().len() <= SOCKET_DIRECTORY_BYTES_MAX)
    }

    pub(crate) fn password(&self) -> PathBuf {
        self.home.join("password")
    }

    pub(crate) fn port(&self) -> PathBuf {
        self.home.join("port")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }
}

fn read_location(home: &Path) -> Result<Option<PathBuf>, Error> {
    let path = home.join("location");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(PathBuf::from(text.trim_end_matches('\n')))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("can't read", &path)(error)),
    }
}

/// A clone in `/root` is the usual case: its mode keeps every other account out, and it is not ours to open. The name
/// is derived from the path, so that two directories never share a cluster.
fn move_elsewhere(home: &Path, account: Account) -> Result<PathBuf, Error> {
    let digest = Sha256::digest(home.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let parent = Path::new(ELSEWHERE);
    account.make_passable(parent)?;
    let server = parent.join(name);
    account.make_passable(&server)?;
    let server = server.canonicalize().map_err(Error::file("can't find", &server))?;
    if !account.reaches(&server) {
        return Err(Error::File {
            what: "the account that Postgres runs as can't enter",
            path: server,
            source: std::io::ErrorKind::PermissionDenied.into(),
        });
    }
    let pointer = home.join("location");
    std::fs::write(&pointer, format!("{}\n", server.display())).map_err(Error::file("can't write", &pointer))?;
    tracing::warn!(
        closed = %home.display(),
        instead = %server.display(),
        "the account that Postgres runs as can't enter this directory, so its data is kept elsewhere"
    );
    Ok(server)
}
