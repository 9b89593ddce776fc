//! Why a private Postgres can't be had. The texts are read by people who have just typed their first command.

use std::io;
use std::path::PathBuf;

use crate::installation::VERSION_MIN;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "Postgres is not installed: no server binaries in /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin or PATH. On \
         Debian and Ubuntu: apt-get install postgresql. Or set DATABASE_URL to use a server of your own."
    )]
    Missing,

    #[error(
        "Postgres {found} in {} is too old, {VERSION_MIN} is the oldest that works. On Debian and Ubuntu: apt-get \
         install postgresql. Or set DATABASE_URL to use a server of your own.",
        bin.display()
    )]
    TooOld { found: u32, bin: PathBuf },

    #[error(
        "{} was written by Postgres {data}, whose binaries are not installed. On Debian and Ubuntu: apt-get install \
         postgresql-{data}",
        path.display()
    )]
    OtherMajor { path: PathBuf, data: u32 },

    #[error(
        "Postgres refuses to run as root, and there is neither a user postgres nor a user nobody. On Debian and \
         Ubuntu, apt-get install postgresql makes the first."
    )]
    NoAccount,

    #[error("{} belongs to another user (uid {owner}); start as that user or as root, or choose another data directory", path.display())]
    ForeignOwner { path: PathBuf, owner: u32 },

    #[error(
        "{} is missing although the database is there; put it back, or remove the directory beside it to begin anew",
        path.display()
    )]
    PasswordMissing { path: PathBuf },

    #[error("port {0} is taken by another program")]
    PortTaken(u16),

    #[error("a Postgres left by an earlier run (process {pid}) does not stop; end it by hand: kill -QUIT {pid}")]
    LeftoverStays { pid: i32 },

    #[error("{program} failed: {output}")]
    Program { program: &'static str, output: String },

    #[error("Postgres ended while starting; the end of {}:\n{tail}", log.display())]
    EndedEarly { log: PathBuf, tail: String },

    #[error("Postgres was not ready within {seconds} s; see {}", log.display())]
    NotReady { log: PathBuf, seconds: u64 },

    #[error("Postgres (process {pid}) does not stop")]
    DoesNotStop { pid: u32 },

    #[error("{what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },

    #[error("{program} can't be run")]
    Spawn { program: &'static str, source: io::Error },

    #[error(transparent)]
    Process(#[from] owned_process::Error),

    #[error("the new server does not answer")]
    Connect(#[from] sqlx::Error),

    #[error("PgBouncer is not installed. On Debian and Ubuntu: apt-get install pgbouncer")]
    PgBouncerMissing,

    #[error("the migrations of the test template failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// For `map_err` on what was being done to a file: `.map_err(Error::file("can't read", &path))`.
    pub(crate) fn file(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
